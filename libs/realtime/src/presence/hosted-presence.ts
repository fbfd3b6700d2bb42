import type { PresenceCount, PresenceDiff, PresenceState } from 'nestjs-realtime-protocol';
import type { Cancel, Clock } from '../core/clock.js';
import { noMetrics, type RealtimeMetrics } from '../core/metrics.js';
import { Pause, backoffMs } from './backoff.js';
import { parsePresenceChange, userIdOf } from './presence-change.js';
import { PresenceCoalescer } from './presence-coalescer.js';
import { MAX_LISTED_BYTES, type PresenceChange, type PresenceStore } from './presence-store.js';
import { PresenceTable } from './presence-table.js';

export interface HostedPresenceOptions {
  readonly room: string;
  readonly store: Pick<PresenceStore, 'read'>;
  readonly clock: Clock;
  /** Milliseconds between two messages to the room's clients. @default 100 */
  readonly coalesceMs?: number | undefined;
  /** A room with more users is counted, not listed, until it is down to 80 %. @default 1000 */
  readonly maxListed?: number | undefined;
  /** How long users are kept whom the storage may have lost, in milliseconds. @default 6000 */
  readonly settleMs?: number | undefined;
  /** Sends to the room's clients on this node; `partial`, if given, to those who understand `devices` (see `PresenceDiff`). */
  readonly emit: (payload: PresenceDiff | PresenceCount, partial?: PresenceDiff) => void;
  readonly metrics?: Pick<RealtimeMetrics, 'dropped'> | undefined;
}

/** What a room came down to before it is listed again: else one user who comes and goes would flip it each time. */
const LIST_AGAIN = 0.8;
/** Changes kept while a snapshot is read. Beyond, it is read once more. */
const MAX_BUFFERED = 10_000;

type Phase = 'new' | 'reading' | 'waiting' | 'live' | 'closed';

/**
 * The presence of one room that this node hosts: follows the room's channel, repairs holes by one read for all its clients,
 * and tells them what changed. Refuses to tell less than the truth for long or more than clients can use: a large room is
 * only counted. Invariant: `state()` and the payloads given to `emit` afterwards are one unbroken story.
 */
export class HostedPresence {
  private readonly table = new PresenceTable();
  private readonly coalescer: PresenceCoalescer;
  private readonly pause: Pause;
  private readonly maxListed: number;
  private readonly settleMs: number;
  private phase: Phase = 'new';
  private isListed = true;
  /** Another read was asked for after the last one had begun. */
  private isStale = false;
  private count = 0;
  /** Undefined: not known to fit into a list. */
  private bytes: number | undefined;
  private toldCount = -1;
  /** Until then a count may be of a room that is still being restored. */
  private settledAtMs = 0;
  private buffer: PresenceChange[] = [];
  private opening: Promise<void> | undefined;
  private resyncing: Promise<void> | undefined;
  private timer: { dueAtMs: number; cancel: Cancel } | undefined;

  constructor(private readonly options: HostedPresenceOptions) {
    this.maxListed = options.maxListed ?? 1_000;
    this.settleMs = options.settleMs ?? 6_000;
    this.coalescer = new PresenceCoalescer(options.room, this.settleMs);
    this.pause = new Pause(options.clock);
  }

  /** To be called when the room's channel is subscribed. Rejects as the store does; may then be called again. */
  open(): Promise<void> {
    // Once opened, a room that is being repaired still has what its clients were told.
    if (this.phase !== 'new' && !this.opening) return Promise.resolve();
    this.opening ??= this.read()
      .then((isWhole) => (isWhole ? undefined : this.resync()))
      .finally(() => (this.opening = undefined));
    return this.opening;
  }

  /** One message from the room's channel, without its leading `p`. Anything that is not a change is counted and ignored. */
  onChange(payloadJson: string): void {
    if (this.phase !== 'live' && this.phase !== 'reading') return;
    const change = parsePresenceChange(payloadJson);
    if (!change) this.options.metrics?.dropped('presence-malformed');
    else if (this.phase === 'live') this.follow(change);
    else if (this.buffer.length <= MAX_BUFFERED) this.buffer.push(change);
  }

  /** What the room's clients know: for the reply to one who joins now and hears what is emitted from now on. */
  state(): PresenceState {
    if (this.isListed) return this.coalescer.state();
    return {
      epoch: this.table.epoch,
      version: this.table.version,
      count: this.toldCount < 0 ? this.count : this.toldCount,
    };
  }

  /** Compares with what the store said about the room (`PresenceStore.versions`) and repairs a difference. */
  check(seen: { epoch: string; version: number } | undefined): Promise<void> {
    if (this.phase !== 'live') return Promise.resolve();
    const isSame = seen ? seen.epoch === this.table.epoch && seen.version === this.table.version : this.count === 0;
    return isSame ? Promise.resolve() : this.resync();
  }

  /** Reads the room again, now and until it succeeds. Callers share one read. */
  resync(): Promise<void> {
    if (this.phase === 'new' || this.phase === 'closed') return Promise.resolve();
    if (this.phase === 'live') this.isStale = true;
    if (this.phase === 'waiting') this.pause.skip();
    this.resyncing ??= this.repair();
    return this.resyncing;
  }

  close(): void {
    this.phase = 'closed';
    this.timer?.cancel();
    this.pause.end();
    this.buffer = [];
  }

  private async repair(): Promise<void> {
    for (let attempt = 0; this.phase !== 'closed'; attempt += 1) {
      try {
        if ((await this.read()) && !this.isStale) break;
      } catch {
        (this.options.metrics ?? noMetrics).dropped('presence-read');
      }
      // What is published from here on is older than the next read.
      if (!this.isClosed) this.phase = 'waiting';
      await this.pause.wait(backoffMs(attempt));
    }
    this.resyncing = undefined;
  }

  /** False: something was missed even so, read again. */
  private async read(): Promise<boolean> {
    const isFirst = this.phase === 'new';
    this.phase = 'reading';
    this.isStale = false;
    this.buffer = [];
    const limit = this.isListed ? this.maxListed : Math.floor(this.maxListed * LIST_AGAIN);
    let state: PresenceState;
    try {
      state = await this.options.store.read(this.options.room, limit);
    } catch (error) {
      if (isFirst && !this.isClosed) this.phase = 'new';
      throw error;
    }
    if (this.isClosed) return true;
    this.load(state, isFirst);
    const buffered = this.buffer;
    this.buffer = [];
    this.phase = 'live';
    if (buffered.length > MAX_BUFFERED) return false;
    return buffered.every((change) => this.apply(change));
  }

  private get isClosed(): boolean {
    return this.phase === 'closed';
  }

  private load(state: PresenceState, isFirst: boolean): void {
    const nowMs = this.options.clock.now();
    const isOtherEpoch = state.epoch !== this.table.epoch;
    this.count = state.count;
    this.bytes = state.users ? 0 : undefined;
    if (!this.isListed && isOtherEpoch) this.settledAtMs = nowMs + this.settleMs;
    const isListed = state.users !== undefined && (this.isListed || nowMs >= this.settledAtMs);
    if (!isListed) {
      this.table.load({ epoch: state.epoch, version: state.version });
      this.countOnly();
      if (isFirst) this.toldCount = state.count;
      return;
    }
    this.table.load(state);
    if (isFirst) return this.coalescer.begin(this.table);
    if (!this.isListed) this.coalescer.clear();
    this.isListed = true;
    this.coalescer.noteAll(this.table, nowMs);
    this.flushIn(this.options.coalesceMs ?? 100);
  }

  private follow(change: PresenceChange): void {
    if (!this.apply(change)) void this.resync();
  }

  /** False: there is a hole before this change. */
  private apply(change: PresenceChange): boolean {
    if (this.isListed) {
      const applied = this.table.apply(change);
      if (applied !== 'applied') return applied === 'stale';
      this.coalescer.note(userIdOf(change));
    } else if (change.epoch === this.table.epoch) {
      if (change.version <= this.table.version) return true;
      this.table.load(change);
    } else {
      return false;
    }
    this.count = change.count;
    this.bytes = change.bytes;
    if (this.isListed && !this.fits(1)) {
      this.table.users.clear();
      this.countOnly();
    }
    this.flushIn(this.options.coalesceMs ?? 100);
    return true;
  }

  private countOnly(): void {
    if (this.isListed) this.toldCount = -1;
    this.isListed = false;
    this.flushIn(this.options.coalesceMs ?? 100);
  }

  private fits(part: number): boolean {
    return this.count <= this.maxListed * part && (this.bytes ?? 0) <= MAX_LISTED_BYTES * part;
  }

  private flushIn(delayMs: number): void {
    const dueAtMs = this.options.clock.now() + delayMs;
    if (this.timer && this.timer.dueAtMs <= dueAtMs) return;
    this.timer?.cancel();
    this.timer = { dueAtMs, cancel: this.options.clock.after(delayMs, () => this.flush()) };
  }

  private flush(): void {
    this.timer = undefined;
    const nowMs = this.options.clock.now();
    if (this.isListed) {
      const { diff, partial, nextAtMs } = this.coalescer.flush(this.table, nowMs);
      if (nextAtMs !== undefined) this.flushIn(nextAtMs - nowMs);
      if (diff) this.options.emit(diff, partial);
      return;
    }
    if (nowMs < this.settledAtMs) return this.flushIn(this.settledAtMs - nowMs);
    if (this.count !== this.toldCount) {
      this.toldCount = this.count;
      this.options.emit({ room: this.options.room, count: this.count });
    }
    if (this.bytes !== undefined && this.fits(LIST_AGAIN)) void this.resync();
  }
}
