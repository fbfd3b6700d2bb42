import type { PresenceState, PresenceUser } from 'nestjs-realtime-protocol';
import type { PresenceChange } from './presence-store.js';
import { changeDevice } from './presence-user.js';

export type Applied = 'applied' | 'stale' | 'gap';

/**
 * One room as the store says it is: changes go in in the order of their versions, and only without a hole.
 * Refuses to guess: after a `gap` the table is unchanged, and only a new snapshot helps.
 */
export class PresenceTable {
  epoch = '';
  version = 0;
  readonly users = new Map<string, PresenceUser>();

  /** Replaces everything, also by an older version: the store may have lost something. */
  load(state: Pick<PresenceState, 'epoch' | 'version' | 'users'>): void {
    this.epoch = state.epoch;
    this.version = state.version;
    this.users.clear();
    for (const user of state.users ?? []) this.users.set(user.id, user);
  }

  apply(change: PresenceChange): Applied {
    if (change.epoch === this.epoch) {
      if (change.version <= this.version) return 'stale';
      if (change.version > this.version + 1) return 'gap';
    } else if (this.epoch !== '' || change.version !== 1) {
      return 'gap';
    }
    const user = this.changed(change);
    if (!user) return 'gap';
    this.epoch = change.epoch;
    this.version = change.version;
    if (user.devices.length === 0) this.users.delete(user.id);
    else this.users.set(user.id, user);
    return 'applied';
  }

  /** Undefined: the change is about a user who is not known. */
  private changed({ user, devices = [] }: PresenceChange): PresenceUser | undefined {
    if (user) return user;
    let changed = this.users.get(devices[0]?.id ?? '');
    for (const change of devices) changed = changed && changeDevice(changed, change);
    return changed;
  }
}
