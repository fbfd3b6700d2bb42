import { createHash } from 'node:crypto';
import type { LogRange, NewPublication, Retention } from './room-log.js';

/** Most entries that one read returns, whatever was asked for. */
export const MAX_LOG_ENTRIES = 1_000;
/** Bytes of text that one read returns if nothing is said, and the most that can be asked for. */
export const MAX_LOG_BYTES = 1_048_576;

/** 278 years: sums with the time of day stay exact. */
const MAX_TTL_MS = 2 ** 43;

export interface BoundedRange {
  readonly after: number | undefined;
  readonly before: number | undefined;
  readonly limit: number;
  readonly maxBytes: number;
}

/** What a storage can take, whatever was asked for: whole numbers within its bounds, 0 for what is not a number. */
export function boundRange({ after, before, limit, maxBytes = MAX_LOG_BYTES }: LogRange): BoundedRange {
  return {
    after: after === undefined ? undefined : bound(after, Number.MAX_SAFE_INTEGER),
    before: before === undefined ? undefined : bound(before, Number.MAX_SAFE_INTEGER),
    limit: bound(limit, MAX_LOG_ENTRIES),
    maxBytes: bound(maxBytes, MAX_LOG_BYTES),
  };
}

export function boundRetention({ size, ttlMs }: Retention): Retention {
  return { size: bound(size, Number.MAX_SAFE_INTEGER), ttlMs: bound(ttlMs, MAX_TTL_MS) };
}

/** Milliseconds, or '' for never. */
export function boundExpiry(expiresInMs: number | undefined): number | undefined {
  return expiresInMs === undefined ? undefined : bound(expiresInMs, MAX_TTL_MS);
}

/**
 * What makes two publications with one id the same: the body and the binary attachments. The rest of the header says who
 * gets it and when, as one node knew it: a retry through another node may say it differently.
 */
export function payloadDigest(text: string): string {
  const end = text.indexOf('\n');
  const header = text.slice(0, Math.max(end, 0));
  const hash = createHash('sha256').update(text.slice(end + 1));
  const { b } = header === '' || header === '{}' ? {} : (JSON.parse(header) as { b?: unknown });
  if (b !== undefined) hash.update(JSON.stringify(b));
  return hash.digest('base64url').slice(0, 22);
}

/** 132 bits of who publishes under which name. */
export function idDigest({ publisher, id }: Pick<NewPublication, 'publisher' | 'id'>): string {
  return createHash('sha256')
    .update(JSON.stringify([publisher, id]))
    .digest('base64url')
    .slice(0, 22);
}

function bound(value: number, max: number): number {
  return value > 0 ? Math.min(Math.floor(value), max) : 0;
}
