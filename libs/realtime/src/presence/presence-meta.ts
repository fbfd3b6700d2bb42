import { RealtimeError } from '../core/realtime-error.js';

/** Most bytes of one entry's metadata, as JSON in UTF-8. */
export const MAX_META_BYTES = 2_048;

/**
 * Metadata as JSON text; undefined for none.
 * @throws RealtimeError `BAD_REQUEST` naming the field `meta` if it is not JSON or larger than `MAX_META_BYTES`.
 */
export function encodeMeta(meta: unknown): string | undefined {
  if (meta === undefined) return undefined;
  const json = toJson(meta);
  if (json === undefined) throw refused('must be JSON');
  if (Buffer.byteLength(json) > MAX_META_BYTES) throw refused(`must be at most ${MAX_META_BYTES} bytes of JSON`);
  return json;
}

function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

function refused(problem: string): RealtimeError {
  return new RealtimeError('BAD_REQUEST', `meta ${problem}`, { details: [{ field: 'meta', problem }] });
}
