import type { PresenceDeviceChange, PresenceDiff, PresenceState, PresenceUser } from 'nestjs-realtime-protocol';
import type { PresenceTable } from './presence-table.js';
import { deviceChanges } from './presence-user.js';

export interface Flushed {
  readonly diff: PresenceDiff | undefined;
  /** The same with `devices` in place of `update`; undefined if nothing is in `update`. */
  readonly partial: PresenceDiff | undefined;
  /** When a leave that is held back becomes due, if nobody comes until then. */
  readonly nextAtMs: number | undefined;
}

/**
 * What the room's clients were told, and the difference to what is true now. It compares states, not events: whoever joined
 * and left between two flushes was never there, and a storage that lost everybody and has them again has changed nothing.
 * Invariant: a diff's `from` is the version of the last thing told (0 before a whole list), also across epochs.
 */
export class PresenceCoalescer {
  private readonly announced = new Map<string, PresenceUser>();
  private readonly changed = new Set<string>();
  private readonly heldUntilMs = new Map<string, number>();
  private epoch = '';
  private version = 0;
  private owesList = false;

  constructor(
    private readonly room: string,
    private readonly settleMs: number,
  ) {}

  /** Takes the table as told: nobody hears of a difference. */
  begin(table: PresenceTable): void {
    this.clear();
    this.epoch = table.epoch;
    this.version = table.version;
    this.owesList = false;
    for (const [id, user] of table.users) this.announced.set(id, user);
  }

  /** Nothing is told any more; the next diff is the whole list. */
  clear(): void {
    this.announced.clear();
    this.changed.clear();
    this.heldUntilMs.clear();
    this.version = 0;
    this.owesList = true;
  }

  /** This user has a new state in the table. A leave that the store announced itself is certain: it is not held back. */
  note(userId: string): void {
    this.changed.add(userId);
    this.heldUntilMs.delete(userId);
  }

  /** The table is a new snapshot. In another epoch, whom it misses may only be lost: their leaves wait for `settleMs`. */
  noteAll(table: PresenceTable, nowMs: number): void {
    for (const id of table.users.keys()) this.note(id);
    for (const id of this.announced.keys()) {
      this.changed.add(id);
      if (table.users.has(id)) this.heldUntilMs.delete(id);
      else if (table.epoch !== this.epoch && !this.heldUntilMs.has(id)) {
        this.heldUntilMs.set(id, nowMs + this.settleMs);
      }
    }
    this.epoch = table.epoch;
  }

  flush(table: PresenceTable, nowMs: number): Flushed {
    const join: PresenceUser[] = [];
    const leave: string[] = [];
    const update: PresenceUser[] = [];
    const devices: PresenceDeviceChange[] = [];
    let nextAtMs: number | undefined;
    for (const id of this.changed) {
      const told = this.announced.get(id);
      const user = table.users.get(id);
      const heldUntilMs = user ? undefined : this.heldUntilMs.get(id);
      if (heldUntilMs !== undefined && heldUntilMs > nowMs) {
        nextAtMs = Math.min(nextAtMs ?? heldUntilMs, heldUntilMs);
        continue;
      }
      this.changed.delete(id);
      this.heldUntilMs.delete(id);
      if (!user) {
        if (this.announced.delete(id)) leave.push(id);
        continue;
      }
      if (!told) join.push(user);
      else if (told !== user) {
        const changes = deviceChanges(told, user);
        devices.push(...changes);
        if (changes.length > 0) update.push(user);
      }
      this.announced.set(id, user);
    }
    const diff = this.diff(table, { join, leave, update });
    if (!diff?.update) return { diff, partial: undefined, nextAtMs };
    const { update: _, ...rest } = diff;
    return { diff, partial: { ...rest, devices }, nextAtMs };
  }

  /** What clients were told: for those who join now and get the next diff. */
  state(): PresenceState & { users: PresenceUser[] } {
    const users = [...this.announced.values()];
    return { epoch: this.epoch, version: this.version, count: users.length, users };
  }

  private diff(
    table: PresenceTable,
    { join, leave, update }: Required<Pick<PresenceDiff, 'join' | 'leave' | 'update'>>,
  ): PresenceDiff | undefined {
    if (join.length + leave.length + update.length === 0 && !this.owesList) return undefined;
    this.owesList = false;
    const from = this.version;
    this.epoch = table.epoch;
    this.version = table.version;
    return {
      room: this.room,
      epoch: table.epoch,
      from,
      to: table.version,
      ...(join.length > 0 ? { join } : {}),
      ...(leave.length > 0 ? { leave } : {}),
      ...(update.length > 0 ? { update } : {}),
    };
  }
}
