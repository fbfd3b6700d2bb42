import type { BusState, ClusterBus } from '../cluster/cluster-bus.js';
import type { Clock } from '../core/clock.js';
import type { LogState, RoomLog } from '../history/room-log.js';
import { Pause, backoffMs } from '../presence/backoff.js';
import type { NodePresence } from '../presence/node-presence.js';
import type { PresenceStore } from '../presence/presence-store.js';
import type { HostedHistory } from './hosted-history.js';
import type { HostedRooms } from './hosted-rooms.js';

export interface PositionCheckDeps {
  readonly bus: ClusterBus;
  readonly store: PresenceStore;
  readonly log: Pick<RoomLog, 'states'>;
  readonly hosted: HostedRooms;
  readonly presence: NodePresence;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

interface KnownRoom {
  readonly room: string;
  readonly history: HostedHistory;
}

/** Rooms in one turn: a node with many more must not fill the queue of commands. */
const AT_ONCE = 500;

/**
 * Compares what this node believes of its hosted rooms with what the storage says, in one pipelined turn for all of them:
 * a lost last message, or keys that were evicted, would otherwise show only at the next change. Logs are compared after each
 * confirmed re-subscription, too, until it worked. A room that nobody spoke in or joined is not asked about.
 */
export class PositionCheck {
  private running: Promise<void> | undefined;
  /** Counts re-subscriptions: the next one starts anew. */
  private turn = 0;
  private pause: Pause;
  private readonly offState: () => void;

  constructor(private readonly deps: PositionCheckDeps) {
    this.pause = new Pause(deps.clock);
    this.offState = deps.bus.onState((state) => void this.follow(state));
  }

  /** One at a time; never rejects: what cannot be read is read the next time. */
  run(): Promise<void> {
    this.running ??= this.compare()
      .catch((error: unknown) => this.deps.onError(error))
      .finally(() => (this.running = undefined));
    return this.running;
  }

  close(): void {
    this.offState();
    this.turn += 1;
    this.pause.end();
  }

  private async compare(): Promise<void> {
    const { store, hosted, presence } = this.deps;
    const rooms = hosted.names();
    const [versions] = await Promise.all([store.versions(rooms), this.compareLogs({ isLate: false })]);
    for (const [index, room] of rooms.entries()) {
      await hosted.find(room)?.presence?.check(versions[index]);
      await presence.check(room, versions[index]);
    }
  }

  private async follow(state: BusState): Promise<void> {
    const turn = (this.turn += 1);
    this.pause.end();
    if (state !== 'up') return;
    const pause = (this.pause = new Pause(this.deps.clock));
    for (let attempt = 0; turn === this.turn; attempt += 1) {
      try {
        return await this.compareLogs({ isLate: true });
      } catch (error) {
        this.deps.onError(error);
        await pause.wait(backoffMs(attempt));
      }
    }
  }

  private async compareLogs(options: { readonly isLate: boolean }): Promise<void> {
    const { hosted } = this.deps;
    const known = hosted.names().flatMap((room): KnownRoom[] => {
      const history = hosted.find(room)?.history;
      return history?.position ? [{ room, history }] : [];
    });
    const failures: unknown[] = [];
    for (let from = 0; from < known.length; from += AT_ONCE) {
      failures.push(...(await this.compareSome(known.slice(from, from + AT_ONCE), options)));
    }
    if (failures.length > 0) throw failures[0];
  }

  /** What failed. Rooms whose part of a cluster is away do not hold up the others. */
  private async compareSome(rooms: readonly KnownRoom[], options: { readonly isLate: boolean }): Promise<unknown[]> {
    try {
      const { log } = this.deps;
      const asked = rooms.map(({ room, history }) => ({ room, retention: history.retention }));
      const states: readonly (LogState | undefined)[] = await log.states(asked);
      for (const [index, { history }] of rooms.entries()) {
        const state = states[index];
        if (state) history.check(state, options);
      }
      return [];
    } catch (error) {
      if (rooms.length === 1) return [error];
      return (await Promise.all(rooms.map((room) => this.compareSome([room], options)))).flat();
    }
  }
}
