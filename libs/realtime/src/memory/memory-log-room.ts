import { randomId } from '../core/ids.js';
import type { BoundedRange } from '../history/log-bounds.js';
import { LOG_META_TTL_MS, type LogRead, type LogState, type Retention } from '../history/room-log.js';

interface StoredEntry {
  readonly offset: number;
  readonly text: string;
  readonly bytes: number;
  readonly at: number;
  readonly expiresAt: number;
}

const DAY_MS = 86_400_000;

/**
 * One room's log as `log-room.lua` and its scripts keep it, with time as an argument. Knows neither ids nor channels.
 * Invariant: `entries` are in the order of their offsets, and none is at or below `start`.
 */
export class MemoryLogRoom {
  readonly #epoch = randomId(9);
  #offset = 0;
  #start = 0;
  #entries: StoredEntry[] = [];
  #bytes = 0;
  #retention: Retention;
  /** Monotonic time at which everything is older than the retention of the newest entry. */
  #emptyAt = Infinity;
  #forgottenAt = 0;

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  /** Of all texts kept. */
  get bytes(): number {
    return this.#bytes;
  }

  isForgotten(now: number): boolean {
    return now >= this.#forgottenAt;
  }

  /** Call first, whatever comes next: notes the retention and prolongs the log's life. */
  use(retention: Retention | 'stored', now: number): void {
    if (retention !== 'stored') this.#retention = retention;
    if (now >= this.#emptyAt) this.clear();
    this.#prolong(now);
  }

  state(now: number): LogState {
    return { epoch: this.#epoch, offset: this.#offset, start: this.#trimmedTo(now), forks: {} };
  }

  append(text: string, now: number, expiresInMs: number = Infinity): { epoch: string; offset: number } {
    this.#offset += 1;
    const bytes = Buffer.byteLength(text);
    this.#entries.push({ offset: this.#offset, text, bytes, at: now, expiresAt: now + expiresInMs });
    this.#bytes += bytes;
    this.trim(now);
    this.#emptyAt = now + this.#retention.ttlMs;
    this.#prolong(now);
    return { epoch: this.#epoch, offset: this.#offset };
  }

  /** Frees what retention leaves out. */
  trim(now: number): void {
    this.#start = now >= this.#emptyAt ? this.#offset : this.#trimmedTo(now);
    const kept = this.#entries.findIndex(({ offset }) => offset > this.#start);
    if (kept === 0) return;
    const gone = this.#entries.splice(0, kept === -1 ? this.#entries.length : kept);
    for (const { bytes } of gone) this.#bytes -= bytes;
  }

  read({ after, before = Infinity, limit, maxBytes }: BoundedRange, now: number): LogRead {
    const state = this.state(now);
    const from = Math.max(after ?? 0, state.start);
    const visible = this.#entries.filter(
      ({ offset, expiresAt }) => offset > from && offset < before && expiresAt > now,
    );
    if (after === undefined) visible.reverse();
    let count = 0;
    let bytes = 0;
    for (const entry of visible) {
      if (count >= limit || (count > 0 && bytes + entry.bytes > maxBytes)) break;
      count += 1;
      bytes += entry.bytes;
    }
    const entries = visible.slice(0, count).map(({ offset, text }) => ({ offset, text }));
    if (after === undefined) entries.reverse();
    return { ...state, entries, hasMore: count < visible.length };
  }

  clear(): void {
    this.#start = this.#offset;
    this.#entries = [];
    this.#bytes = 0;
    this.#emptyAt = Infinity;
  }

  remove(offset: number, now: number): boolean {
    const index = this.#entries.findIndex((entry) => entry.offset === offset);
    if (index === -1) return false;
    const isTrimmed = offset <= this.#trimmedTo(now);
    const [removed] = this.#entries.splice(index, 1);
    this.#bytes -= removed?.bytes ?? 0;
    return !isTrimmed && removed !== undefined && removed.expiresAt > now;
  }

  /** The highest offset that retention leaves out now. */
  #trimmedTo(now: number): number {
    const start = Math.max(this.#start, this.#offset - this.#retention.size);
    const border = now - this.#retention.ttlMs;
    let aged = start;
    for (const { offset, at } of this.#entries) {
      if (at > border) break;
      aged = Math.max(aged, offset);
    }
    return aged;
  }

  #prolong(now: number): void {
    const ttlMs = this.#offset > 0 ? LOG_META_TTL_MS : DAY_MS;
    this.#forgottenAt = now + Math.max(2 * this.#retention.ttlMs, ttlMs);
  }
}
