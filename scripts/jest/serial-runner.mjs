import TestRunner from 'jest-runner';

/** Jest runs the files of such a runner one at a time, after those of all others. */
export default class SerialRunner extends TestRunner {
  isSerial = true;
}
