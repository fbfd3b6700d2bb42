const MICROS_PER_SECOND = 1_000_000;
const NANOS_PER_MICRO = 1_000;

/** Whole microseconds of the machine's monotonic clock: the same in every process, so that latencies can cross processes. */
export function monotonicMicros(): number {
  const [seconds, nanos] = process.hrtime();
  return seconds * MICROS_PER_SECOND + Math.floor(nanos / NANOS_PER_MICRO);
}
