import type { Clock } from '../core/clock.js';
import type { Incarnation } from '../core/ids.js';
import type { IncarnationSource } from '../core/incarnation-source.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import { EntryRepairs } from './entry-repairs.js';
import { LeaveGrace } from './leave-grace.js';
import { OwnEntries, type LiveEntry, type OwnEntry } from './own-entries.js';
import type { EnterOptions, EnterResult, PresenceStore, PresenceTransition } from './presence-store.js';

export interface NodePresenceOptions {
  readonly store: PresenceStore;
  readonly clock: Clock;
  readonly incarnations: IncarnationSource;
  /** How long `leaveLater` waits, in milliseconds; 0: not at all. @default 5000 */
  readonly leaveGraceMs?: number | undefined;
  /** Every transition that this node made, once; never one of kind `none`. */
  readonly onTransition: (transition: PresenceTransition) => void;
  readonly metrics: Pick<RealtimeMetrics, 'presenceEntries' | 'dropped'>;
}

export interface NodeEnterOptions extends Omit<EnterOptions, 'restore'> {
  /**
   * When the store is away: `refuse` rejects and forgets the entry, `keep` answers `kept` and enters it, without limits, as
   * soon as the store is back. @default 'refuse'
   */
  readonly whenUnavailable?: 'refuse' | 'keep' | undefined;
}

export type NodeEnterResult = EnterResult | { readonly status: 'kept' };

type EntryIds = Pick<OwnEntry, 'userId' | 'connectionId'>;

/**
 * The presence of this node's own connections, and the memory of what must be in the store: whatever fails is repeated until
 * it is true there. Refuses to judge other nodes (`sweep` is told by who knows leases).
 * Invariant: writes of one entry happen in the order of the calls, and a leave always wins.
 */
export class NodePresence {
  private readonly entries: OwnEntries;
  private readonly repairs: EntryRepairs;
  private readonly grace: LeaveGrace<LiveEntry>;
  private readonly stopListening: () => void;
  private isClosed = false;

  constructor(private readonly options: NodePresenceOptions) {
    const { clock, metrics, incarnations, leaveGraceMs = 5_000 } = options;
    this.entries = new OwnEntries((size) => metrics.presenceEntries(size));
    this.repairs = new EntryRepairs(
      clock,
      (entry) => this.repair(entry),
      () => metrics.dropped('presence-retry'),
    );
    this.grace = new LeaveGrace(clock, leaveGraceMs, (entry) => void this.leave(entry.room, entry));
    this.stopListening = incarnations.onChange(() => void this.restoreAll());
  }

  /** Entries of this node, pending ones included. */
  get size(): number {
    return this.entries.size;
  }

  /** Rejects as the store does (`UNAVAILABLE`), with `BAD_REQUEST` for bad metadata; then there is no entry. */
  async enter(room: string, entry: OwnEntry, options: NodeEnterOptions = {}): Promise<NodeEnterResult> {
    if (this.isClosed) throw new RealtimeError('UNAVAILABLE');
    const { whenUnavailable = 'refuse', ...limits } = options;
    const live = this.entries.add(room, entry);
    try {
      const result = await this.inLane(live, () => this.write(live, limits));
      if (result.status === 'full') this.drop(live);
      return result;
    } catch (error) {
      if (whenUnavailable === 'keep' && isUnavailable(error)) {
        void this.repairs.add([live]);
        return { status: 'kept' };
      }
      if (mayBeWritten(error)) {
        this.entries.remove(live);
        void this.repairs.add([live]);
      } else this.drop(live);
      throw error;
    }
  }

  /**
   * Gone from this node at once. Resolves with what it did in the cluster; with undefined if this node has no such entry, or
   * if the store is away: then it is repeated until done, and reported to `onTransition` alone.
   */
  async leave(room: string, { userId, connectionId }: EntryIds): Promise<PresenceTransition | undefined> {
    const live = this.entries.get(room, connectionId);
    if (!live || live.userId !== userId) return undefined;
    this.entries.remove(live);
    this.grace.delete(live);
    try {
      return await this.inLane(live, () => this.writeOut(live));
    } catch {
      void this.repairs.add([live]);
      return undefined;
    }
  }

  /** Leaves after `leaveGraceMs`: a lost transport may come back, with another connection id. */
  leaveLater(room: string, { userId, connectionId }: EntryIds): void {
    const live = this.entries.get(room, connectionId);
    if (live?.userId === userId && !this.isClosed) this.grace.add(live);
  }

  /** Rejects with `NOT_FOUND` if this node has no such entry, else as `enter`. */
  async update(room: string, { userId, connectionId }: EntryIds, meta: unknown): Promise<PresenceTransition> {
    const live = this.entries.get(room, connectionId);
    if (!live || live.userId !== userId) throw new RealtimeError('NOT_FOUND', 'Not in the room');
    return this.inLane(live, async () => {
      const incarnation = live.owners.at(-1) ?? this.options.incarnations.current();
      const transition = await this.options.store.update(room, { userId, connectionId, incarnation }, meta);
      live.meta = meta;
      return this.report(transition);
    });
  }

  /** Writes every entry again: to be called when the store is back. Resolves when all are there. */
  restoreAll(): Promise<void> {
    const restored = this.repairs.add(this.entries.list());
    this.repairs.hurry();
    return restored;
  }

  /** Compares with what the store said about a room (`PresenceStore.versions`): in another epoch it may have lost entries. */
  async check(room: string, seen: { epoch: string } | undefined): Promise<void> {
    const lost = [...this.entries.list(room)].filter(({ epoch }) => epoch !== undefined && epoch !== seen?.epoch);
    if (lost.length > 0) await this.repairs.add(lost);
  }

  /** Removes what a dead incarnation left behind. Rejects half-way as the store does: to be repeated. */
  async sweep(incarnation: Incarnation): Promise<void> {
    if (incarnation === this.options.incarnations.current()) return;
    await this.options.store.sweep(incarnation, (transition) => this.report(transition));
  }

  /** Stops writing. Entries stay in the store, and end with the node's lease. */
  close(): Promise<void> {
    this.isClosed = true;
    this.stopListening();
    this.grace.close();
    this.repairs.close();
    return Promise.resolve();
  }

  private repair(live: LiveEntry): Promise<void> {
    return this.inLane(live, async () => {
      if (live.wanted === 'out') await this.writeOut(live);
      else await this.write(live, { restore: { epoch: live.epoch } });
    });
  }

  private async write(live: LiveEntry, options: EnterOptions): Promise<EnterResult> {
    const { room, userId, connectionId, device, meta } = live;
    const incarnation = this.options.incarnations.current();
    live.owners = [...live.owners.filter((owner) => owner !== incarnation), incarnation];
    const entry = { userId, connectionId, incarnation, device, meta };
    const result = await this.options.store.enter(room, entry, options);
    if (result.status === 'full') return result;
    live.owners = [incarnation];
    live.epoch = result.epoch;
    this.report(result.transition);
    for (const gone of result.evicted) {
      const evicted = this.entries.get(room, gone.connectionId);
      // Out of the store already: a restore must not bring it back before its connection is closed.
      if (evicted?.owners.includes(gone.incarnation)) this.drop(evicted);
    }
    return result;
  }

  private async writeOut(live: LiveEntry): Promise<PresenceTransition | undefined> {
    const { room, userId, connectionId } = live;
    let done: PresenceTransition | undefined;
    for (const incarnation of live.owners) {
      const transition = await this.options.store.leave(room, { userId, connectionId, incarnation });
      if (!done || transition.kind !== 'none') done = this.report(transition);
    }
    live.owners = [];
    this.entries.forget(live);
    return done;
  }

  private drop(live: LiveEntry): void {
    this.entries.remove(live);
    this.entries.forget(live);
  }

  private inLane<Result>(live: LiveEntry, work: () => Promise<Result>): Promise<Result> {
    const result = live.lane ? live.lane.then(work) : work();
    const settled = (): void => {
      if (live.lane === lane) live.lane = undefined;
    };
    const lane: Promise<void> = result.then(settled, settled);
    live.lane = lane;
    return result;
  }

  private report(transition: PresenceTransition): PresenceTransition {
    if (transition.kind !== 'none') this.options.onTransition(transition);
    return transition;
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof RealtimeError && (error.code === 'UNAVAILABLE' || error.code === 'TIMEOUT');
}

/** A store that knows that a write never left says so (`maybeWritten: false`); bad metadata never leaves. */
function mayBeWritten(error: unknown): boolean {
  if (error instanceof RealtimeError && error.code === 'BAD_REQUEST') return false;
  return (error as { maybeWritten?: unknown }).maybeWritten !== false;
}
