import type {
  PresenceCount,
  PresenceDeviceChange,
  PresenceDiff,
  PresenceState,
  PresenceUser,
} from 'nestjs-realtime-protocol';

/** Who is in a room, as far as this client knows. Pure: `presence.ts` asks the server when a table is `stale`. */
export interface PresenceTable {
  readonly epoch: string;
  readonly version: number;
  readonly count: number;
  /** Absent in a room that is too large to list. */
  readonly users: ReadonlyMap<string, PresenceUser> | undefined;
}

export const EMPTY: PresenceTable = { epoch: '', version: 0, count: 0, users: new Map() };

export function fromSnapshot(snapshot: PresenceState): PresenceTable {
  return { ...snapshot, users: snapshot.users && new Map(snapshot.users.map((user) => [user.id, user])) };
}

/**
 * The table after the diff, the same table if the diff is older than it, or `stale` if something in between is missing.
 * A diff is applied only when it starts at our version: one that overlaps may have left out a user who came and went. The
 * server's `from` is the version it told last, also over a change of epoch; from 0 the diff is the whole room.
 */
export function merge(table: PresenceTable, diff: PresenceDiff | PresenceCount): PresenceTable | 'stale' {
  if (!('epoch' in diff)) return { ...table, count: diff.count, users: undefined };
  if (diff.epoch === table.epoch && diff.to <= table.version) return table;
  const isWhole = diff.from === 0;
  if (!isWhole && (diff.from !== table.version || !table.users)) return 'stale';
  const users = new Map(isWhole ? [] : table.users);
  for (const user of [...(diff.join ?? []), ...(diff.update ?? [])]) users.set(user.id, user);
  for (const change of diff.devices ?? []) {
    const user = users.get(change.id);
    if (!user) return 'stale';
    users.set(change.id, changeDevice(user, change));
  }
  for (const id of diff.leave ?? []) users.delete(id);
  return { epoch: diff.epoch, version: diff.to, count: users.size, users };
}

/** In the order of the protocol: off the list, in its place or behind the others, and how many more there are. */
function changeDevice({ id, devices, more }: PresenceUser, change: PresenceDeviceChange): PresenceUser {
  const { set, drop } = change;
  const next = devices.filter(({ device }) => device !== drop);
  const at = next.findIndex(({ device }) => device === set?.device);
  if (set) next.splice(at < 0 ? next.length : at, 1, set);
  const others = change.more ?? more;
  return others ? { id, devices: next, more: others } : { id, devices: next };
}

export function usersOf({ users }: PresenceTable): PresenceUser[] {
  return [...(users?.values() ?? [])];
}

export interface Difference {
  readonly joined: PresenceUser[];
  readonly left: PresenceUser[];
  readonly updated: PresenceUser[];
}

/** Who came, who left and who changed between two tables. */
export function difference(before: PresenceTable, after: PresenceTable): Difference {
  const here = usersOf(after);
  const isNew = ({ id }: PresenceUser): boolean => !before.users?.has(id);
  return {
    joined: here.filter(isNew),
    left: usersOf(before).filter(({ id }) => !after.users?.has(id)),
    updated: here.filter((user) => !isNew(user) && JSON.stringify(user) !== JSON.stringify(before.users?.get(user.id))),
  };
}
