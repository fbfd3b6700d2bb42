import { roomChannel, type ClusterBus } from '../cluster/cluster-bus.js';
import type { Cancel, Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import type { HostedPresence } from '../presence/hosted-presence.js';
import type { RoomBroadcast } from './room-broadcast.js';
import { decodeRoomMessage } from './room-message.js';

export interface HostedRoomsDeps {
  readonly bus: ClusterBus;
  readonly broadcast: Pick<RoomBroadcast, 'deliver'>;
  readonly clock: Clock;
  readonly metrics: RealtimeMetrics;
  readonly nodeId: string;
  /** Milliseconds a room without members stays subscribed: people come back. */
  readonly lingerMs: number;
  /** Whether this node has members of the room now. */
  readonly hasMembers: (room: string) => boolean;
  /** The presence table of a room whose policy asks for one. */
  readonly createPresence: (room: string) => HostedPresence | undefined;
}

export interface HostedRoom {
  readonly name: string;
  readonly presence: HostedPresence | undefined;
}

interface Entry extends HostedRoom {
  /** Resolves when the channel is subscribed and presence has been read; undefined after a failure, until the next try. */
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
      entry.presence?.close();
    }
    this.rooms.clear();
  }

  private create(room: string): Entry {
    const presence = this.deps.createPresence(room);
    const entry: Entry = { name: room, presence, active: undefined, holds: 0, linger: undefined };
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
    await this.deps.bus.subscribe(roomChannel(entry.name), (payload) => this.onPayload(entry, payload));
    await entry.presence?.open();
  }

  private onPayload(entry: Entry, payload: string): void {
    if (payload.startsWith('p')) return entry.presence?.onChange(payload.slice(1));
    const message = payload.startsWith('m') ? decodeRoomMessage(payload) : undefined;
    if (!message) return this.deps.metrics.dropped('malformed-room-message');
    if (message.header.n === this.deps.nodeId) return;
    this.deps.broadcast.deliver(entry.name, message);
  }

  /** The bus is back: it has its own subscriptions again; rooms that failed to subscribe try once more, tables look for holes. */
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
    entry.presence?.close();
    this.deps.bus.unsubscribe(roomChannel(entry.name)).catch(() => this.deps.metrics.dropped('room-unsubscription'));
  }
}
