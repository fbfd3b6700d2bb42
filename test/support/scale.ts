import { GENEROUS_MS } from './eventually.js';
import { promised } from './promised.js';

/**
 * `REALTIME_FULL=1` (`npm run test:full`): the chaos tests run with the product's own timers, and what it promises in
 * seconds is judged. Otherwise timers are shorter and every outcome is waited for, however late the machine is.
 */
export const IS_FULL = process.env['REALTIME_FULL'] === '1';

/**
 * `it`, at the same time as the others of its file: each has servers of its own, and mostly waits for a lease or a vote. One
 * after the other at full length, where bounds are judged.
 */
export const itAtOnce = IS_FULL ? it : it.concurrent;

/** At full length the promised bound; otherwise every outcome is waited for. */
export function promisedAtFullLength(ms: number, source: string): number {
  return IS_FULL ? promised(ms, source) : GENEROUS_MS;
}

/** For `jest.setTimeout`, at full length: leases, outages and second sweeps add up. */
export const FULL_TIMEOUT_MS = 300_000;

/**
 * At full length: prints what something took and throws if that is more than was promised. The time is taken from what the
 * product or its process reports, as far as it does.
 * @param boundMs `promised(…)`
 */
export function judgeBound(what: string, tookMs: number, boundMs: number): void {
  if (!IS_FULL) return;
  const said = `${what}: ${Math.round(tookMs)} ms (promised: ${boundMs} ms)`;
  process.stderr.write(`    ${said}\n`);
  if (tookMs > boundMs) throw new Error(said);
}
