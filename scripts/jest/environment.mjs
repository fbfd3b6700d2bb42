// Node's test environment with the lag witness in each worker: a failure says which processes stood still while its test
// ran, so that "the machine stood still" and "the product is wrong" can be told apart. It excuses nothing, and whatever
// goes wrong in here must not change the outcome of a test.
import { setTimeout as wait } from 'node:timers/promises';
import { TestEnvironment } from 'jest-environment-node';
import { insertNote, lagNote, readGaps, readPressure } from './lag-log.mjs';
import { sample } from './lag-witness.mjs';

const log = process.env.REALTIME_LAG_LOG;
/** A process that was starved as long as this one notices its own gap a moment later. */
const OTHERS_WRITE_MS = 30;

export default class LagEnvironment extends TestEnvironment {
  #started = new WeakMap();
  #noted = new WeakSet();

  handleTestEvent(event) {
    if (!log) return undefined;
    const { name, test, hook } = event;
    const isOfFile = hook?.type === 'beforeAll' || hook?.type === 'afterAll';
    if (name === 'test_start') this.#start(test);
    else if (name === 'hook_start' && isOfFile) this.#start(hook);
    else if (name === 'hook_failure' && isOfFile) return this.#note(hook, [event.error]);
    else if (name === 'test_done' && test.errors.length > 0) return this.#note(test, test.errors);
    return undefined;
  }

  #start(key) {
    this.#started.set(key, { from: Date.now(), pressureMs: readPressure() });
  }

  async #note(key, errors) {
    try {
      const [first] = errors;
      const error = Array.isArray(first) ? first[0] : first;
      if (typeof error === 'object' && error !== null && this.#noted.has(error)) return;
      const to = Date.now();
      const start = this.#started.get(key) ?? { from: to };
      const pressure = readPressure();
      sample();
      await wait(OTHERS_WRITE_MS);
      const pressureMs =
        pressure === undefined || start.pressureMs === undefined ? undefined : pressure - start.pressureMs;
      const note = lagNote({ gaps: readGaps(log), from: start.from, to, pid: process.pid, pressureMs });
      if (typeof error === 'object' && error !== null) this.#addTo(error, note);
      else errors[0] = thrown(first, note);
    } catch {
      // The failure is then told without the line.
    }
  }

  #addTo(error, note) {
    this.#noted.add(error);
    if (typeof error.stack === 'string') error.stack = insertNote(error.stack, note);
    else error.message = insertNote(String(error.message), note);
  }
}

/** For what is thrown and is no object; the place is where the test was defined, as Jest shows it. */
function thrown(entry, note) {
  const [value, definition] = Array.isArray(entry) ? entry : [entry];
  const error = new Error(`thrown: ${typeof value === 'string' ? JSON.stringify(value) : String(value)}\n\n${note}`);
  const [frames] = /\n\s+at [^]*$/.exec(definition?.stack ?? '') ?? [''];
  error.stack = `Error: ${error.message}${frames}`;
  return error;
}
