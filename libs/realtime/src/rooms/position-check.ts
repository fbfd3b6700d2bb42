import type { NodePresence } from '../presence/node-presence.js';
import type { PresenceStore } from '../presence/presence-store.js';
import type { HostedRooms } from './hosted-rooms.js';

export interface PositionCheckDeps {
  readonly store: PresenceStore;
  readonly hosted: HostedRooms;
  readonly presence: NodePresence;
  readonly onError: (error: unknown) => void;
}

/**
 * Compares what this node believes of its hosted rooms with what the store says, in one pipelined read for all of them:
 * a lost last message, or keys that were evicted, would otherwise show only at the next change.
 */
export class PositionCheck {
  private running: Promise<void> | undefined;

  constructor(private readonly deps: PositionCheckDeps) {}

  /** One at a time; never rejects: what cannot be read is read the next time. */
  run(): Promise<void> {
    this.running ??= this.compare()
      .catch((error: unknown) => this.deps.onError(error))
      .finally(() => (this.running = undefined));
    return this.running;
  }

  private async compare(): Promise<void> {
    const { store, hosted, presence } = this.deps;
    const rooms = hosted.names();
    const versions = await store.versions(rooms);
    for (const [index, room] of rooms.entries()) {
      await hosted.find(room)?.presence?.check(versions[index]);
      await presence.check(room, versions[index]);
    }
  }
}
