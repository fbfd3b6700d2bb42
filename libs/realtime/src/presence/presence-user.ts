import { userRoom, type PresenceDevice, type PresenceDeviceChange, type PresenceUser } from 'nestjs-realtime-protocol';
import type { Incarnation } from '../core/ids.js';

/** Devices of a user that are listed; `more` counts the others. The same number stands in `presence-user.lua`. */
export const MAX_DEVICES = 16;

/** One connection of a user in a room, as stores keep it. */
export interface StoredEntry {
  readonly incarnation: Incarnation;
  readonly device: string;
  /** JSON text, kept as it came. */
  readonly meta: string | undefined;
  /** Counts up in the room: which entry is older. */
  readonly order: number;
}

const USER_ROOMS = userRoom('');

/** A user's own room: lists no devices, and tells the first connection and the last one only. */
export function isOwnRoom(room: string): boolean {
  return room.startsWith(USER_ROOMS);
}

/** What is seen of a user in the own room. */
export function ownUser(id: string, connections: number): PresenceUser {
  return connections > 0 ? { id, devices: [], more: connections } : { id, devices: [] };
}

/** What others see of a user: one item for each device, oldest first; of two connections of a device the newer one counts. */
export function presenceUser(id: string, entries: readonly StoredEntry[]): PresenceUser {
  const devices = new Map<string, StoredEntry>();
  for (const entry of [...entries].sort((a, b) => a.order - b.order)) devices.set(entry.device, entry);
  return listedUser(id, [...devices.values()].slice(0, MAX_DEVICES), devices.size);
}

/** A user of whose devices `listed` are shown. */
export function listedUser(id: string, listed: readonly StoredEntry[], total: number): PresenceUser {
  const user = { id, devices: listed.map(deviceOf) };
  return total > listed.length ? { ...user, more: total - listed.length } : user;
}

function deviceOf({ device, meta }: StoredEntry): PresenceDevice {
  return meta === undefined ? { device } : { device, meta: JSON.parse(meta) as unknown };
}

/**
 * What has to happen to `before` for it to be `after`; nothing if both are the same. As short as the change: what keeps its
 * place and its metadata is not in it. All that is dropped comes before what is set.
 */
export function deviceChanges(before: PresenceUser, after: PresenceUser): PresenceDeviceChange[] {
  const { id } = after;
  const changes: PresenceDeviceChange[] = [];
  const sets: PresenceDevice[] = [];
  let kept = 0;
  for (const told of before.devices) {
    const now = after.devices[kept];
    if (now?.device !== told.device) {
      changes.push({ id, drop: told.device });
      continue;
    }
    kept += 1;
    if (!isSameDevice(told, now)) sets.push(now);
  }
  sets.push(...after.devices.slice(kept));
  const lastItem = (): PresenceDeviceChange => {
    const item = changes.at(-1) ?? { id };
    if (changes.length === 0) changes.push(item);
    return item;
  };
  for (const [index, set] of sets.entries()) {
    // The first one shares its item with the last that is dropped.
    if (index === 0) lastItem().set = set;
    else changes.push({ id, set });
  }
  if (before.more !== after.more) lastItem().more = after.more ?? 0;
  return changes;
}

/** The user after one change, as a new object. */
export function changeDevice(user: PresenceUser, { set, drop, more = user.more }: PresenceDeviceChange): PresenceUser {
  const devices = drop === undefined ? [...user.devices] : user.devices.filter(({ device }) => device !== drop);
  if (set) {
    const at = devices.findIndex(({ device }) => device === set.device);
    devices.splice(at < 0 ? devices.length : at, 1, set);
  }
  return more ? { id: user.id, devices, more } : { id: user.id, devices };
}

function isSameDevice(a: PresenceDevice, b: PresenceDevice): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
