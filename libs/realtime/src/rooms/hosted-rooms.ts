import { roomChannel } from '../cluster/channels.js';
import type { ClusterBus } from '../cluster/cluster-bus.js';
import type { Cancel, Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import type { HostedPresence } from '../presence/hosted-presence.js';
import type { HostedHistory } from './hosted-history.js';
import { takePayload, type RoomFollowers, type RoomPayloadDeps } from './room-payload.js';
import { isUserRoom } from './user-rooms.js';

export interface HostedRoomsDeps extends RoomPayloadDeps {
  readonly bus: ClusterBus;
  readonly clock: Clock;
  readonly metrics: RealtimeMetrics;
  /** Milliseconds a room without members stays subscribed: people come back. */
  readonly lingerMs: number;
  /** Whether this node has members of the room now. */
  readonly hasMembers: (room: string) => boolean;
  /** The presence table of a room whose policy asks for one. */
  readonly createPresence: (room: string) => HostedPresence | undefined;
  /** The log's follower of a room that keeps its publications. */
  readonly createHistory: (room: string) => HostedHistory | undefined;
}

export type HostedRoom = RoomFollowers;

interface Entry extends HostedRoom {
  /** Resolves when the channel is subscribed, presence and log have been read; undefined after a failure, until the next try. */
  active: Promise<void> | undefined;
  /** Joins under way: they keep the room although nobody is in it yet. */
  holds: number;
  linger: Cancel | undefined;
}

/** One promise for all rooms that are active. */
const ACTIVE = Promise.resolve();

/**
 * The rooms whose channel this node listens to: those with members here, and for `lingerMs` those that had.
 * Does not know policies or clients; it turns what a channel says into local broadcasts and presence changes.
 * Invariant: `hold` resolves only when what is published from now on reaches this node.
 */
export class HostedRooms {
  private readonly rooms = new Map<string, Entry>();
  private readonly offState: () => void;

  constructor(private readonly deps: HostedRoomsDeps) {
    this.offState = deps.bus.onState((state) => {
      if (state === 'up') this.repair();
    });
  }

  get size(): number {
    return this.rooms.size;
  }

  /** False: the bus is away, and a subscription will not be confirmed soon. */
  get isReachable(): boolean {
    return this.deps.bus.state === 'up';
  }

  names(): string[] {
    return [...this.rooms.keys()];
  }

  find(room: string): HostedRoom | undefined {
    return this.rooms.get(room);
  }

  /** Every `hold` needs one `release`. Rejects with `UNAVAILABLE` while the bus is away; the hold counts all the same. */
  async hold(room: string): Promise<HostedRoom> {
    const entry = this.rooms.get(room) ?? this.create(room);
    entry.holds += 1;
    entry.linger?.();
    entry.linger = undefined;
    await this.activate(entry);
    return entry;
  }

  /** Call when a join has ended, either way, and when the last member has left. */
  release(room: string, options: { isHold: boolean }): void {
    const entry = this.rooms.get(room);
    if (!entry) return;
    if (options.isHold) entry.holds -= 1;
    if (entry.holds > 0 || entry.linger || this.deps.hasMembers(room)) return;
    entry.linger = this.deps.clock.after(this.deps.lingerMs, () => this.drop(entry));
  }

  close(): void {
    this.offState();
    for (const entry of this.rooms.values()) {
      entry.linger?.();
      closeEntry(entry);
    }
    this.rooms.clear();
  }

  private create(room: string): Entry {
    const { createPresence, createHistory } = this.deps;
    const parts = { presence: createPresence(room), history: createHistory(room) };
    const entry: Entry = { name: room, ...parts, active: undefined, holds: 0, linger: undefined };
    this.rooms.set(room, entry);
    this.deps.metrics.roomsHosted(this.rooms.size);
    return entry;
  }

  private activate(entry: Entry): Promise<void> {
    entry.active ??= this.subscribe(entry).then(
      () => void (entry.active = ACTIVE),
      (error: unknown) => {
        entry.active = undefined;
        throw error;
      },
    );
    return entry.active;
  }

  private async subscribe(entry: Entry): Promise<void> {
    await this.deps.bus.subscribe(roomChannel(entry.name), (payload) => takePayload(entry, payload, this.deps));
    // A user's own room begins with the first thing heard: its log is not asked by each connect, only by who joins it.
    await Promise.all([entry.presence?.open(), isUserRoom(entry.name) ? undefined : entry.history?.open()]);
  }

  /** The bus is back with its subscriptions: rooms that failed try once more, tables look for holes (logs: see PositionCheck). */
  private repair(): void {
    for (const entry of this.rooms.values()) {
      if (entry.active) void entry.presence?.resync();
      else this.activate(entry).catch(() => this.deps.metrics.dropped('room-subscription'));
    }
  }

  private drop(entry: Entry): void {
    entry.linger = undefined;
    if (entry.holds > 0 || this.deps.hasMembers(entry.name)) return;
    this.rooms.delete(entry.name);
    this.deps.metrics.roomsHosted(this.rooms.size);
    closeEntry(entry);
    this.deps.bus.unsubscribe(roomChannel(entry.name)).catch(() => this.deps.metrics.dropped('room-unsubscription'));
  }
}

function closeEntry({ presence, history }: HostedRoom): void {
  presence?.close();
  history?.close();
}
