// Importing it starts it: `node --import scripts/jest/lag-witness.mjs …`, or the Jest environment. It notices when the
// event loop of its process stood still and appends one JSON line for each such gap to the file that REALTIME_LAG_LOG
// names. The CPU time of a gap tells a process that was not run from a process that blocked itself.
// Without REALTIME_LAG_LOG it does nothing. It never keeps a process alive and never throws.
import { appendFileSync } from 'node:fs';
import { basename } from 'node:path';
import { GAP_MS } from './lag-log.mjs';

const INTERVAL_MS = 25;
const ROLES = { 'processChild.js': 'jest worker', 'jest.js': 'jest' };
const program = basename(process.argv[1] ?? 'node');
const role = process.env.REALTIME_LAG_ROLE ?? ROLES[program] ?? program;
const log = process.env.REALTIME_LAG_LOG;

let lastAt = performance.now();
let lastCpu = process.cpuUsage();

/** Looks at once: a gap that a test has just made is in the log before its failure is told. */
export function sample() {
  const now = performance.now();
  const cpu = process.cpuUsage(lastCpu);
  const lateMs = Math.round(now - lastAt - INTERVAL_MS);
  lastAt = now;
  lastCpu = process.cpuUsage();
  if (!log || lateMs < GAP_MS) return;
  const cpuMs = Math.round((cpu.user + cpu.system) / 1000);
  try {
    appendFileSync(log, `${JSON.stringify({ at: Date.now(), pid: process.pid, role, lateMs, cpuMs })}\n`);
  } catch {
    // The run is over and its folder is gone.
  }
}

if (log) setInterval(sample, INTERVAL_MS).unref();
