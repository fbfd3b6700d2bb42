import { RealtimeError } from '../core/realtime-error.js';

/** Most bytes of JSON in a connection's metadata in one room. */
export const MAX_META_BYTES = 2_048;

/** Control characters and halves of characters: no name or id needs them, logs and other stores suffer from them. */
const UNFIT = /[\p{Cc}\p{Cs}]/u;

/** The request as an object; lists and everything else are `BAD_REQUEST`. */
export function readRecord(data: unknown): Record<string, unknown> {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new RealtimeError('BAD_REQUEST', 'The request must be an object');
  }
  return data as Record<string, unknown>;
}

export function readText(data: unknown, field: string, maxLength = 512): string {
  const value = readRecord(data)[field];
  if (typeof value !== 'string' || value === '' || value.length > maxLength) {
    throw new RealtimeError('BAD_REQUEST', `${field} must be a string of 1 to ${maxLength} characters`);
  }
  if (UNFIT.test(value)) throw new RealtimeError('BAD_REQUEST', `${field} must not hold control characters`);
  return value;
}

/** Metadata as it came, if it is small enough. */
export function checkMeta(meta: unknown): unknown {
  if (meta === undefined) return undefined;
  if (Buffer.byteLength(JSON.stringify(meta) ?? '') > MAX_META_BYTES) {
    throw new RealtimeError('BAD_REQUEST', `meta must be at most ${MAX_META_BYTES} bytes of JSON`);
  }
  return meta;
}
