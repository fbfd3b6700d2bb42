// Says at the end of a run how long a process stood still, at worst.
import { closingLag, readGaps } from './lag-log.mjs';

export default class LagReporter {
  onRunComplete() {
    const log = process.env.REALTIME_LAG_LOG;
    if (log) process.stderr.write(`${closingLag(readGaps(log))}\n`);
  }
}
