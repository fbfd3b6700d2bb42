import type { PresenceDevice, PresenceUser } from 'nestjs-realtime-protocol';
import type { Incarnation } from '../core/ids.js';

/** One connection of a user in a room, as stores keep it. */
export interface StoredEntry {
  readonly incarnation: Incarnation;
  readonly device: string;
  /** JSON text, kept as it came. */
  readonly meta: string | undefined;
  /** Counts up in the room: which entry is older. */
  readonly order: number;
}

/** What others see of a user: one item for each device, oldest first; of two connections of a device the newer one counts. */
export function presenceUser(id: string, entries: Iterable<StoredEntry>): PresenceUser {
  const all = [...entries];
  if (all.length < 2) return { id, devices: all.map(deviceOf) };
  const devices = new Map<string, PresenceDevice>();
  for (const entry of all.sort((a, b) => a.order - b.order)) devices.set(entry.device, deviceOf(entry));
  return { id, devices: [...devices.values()] };
}

function deviceOf({ device, meta }: StoredEntry): PresenceDevice {
  return meta === undefined ? { device } : { device, meta: JSON.parse(meta) as unknown };
}

/** Whether clients that know `a` need to be told about `b`. */
export function isSameUser(a: PresenceUser, b: PresenceUser): boolean {
  if (a === b) return true;
  return a.devices.length === b.devices.length && JSON.stringify(a.devices) === JSON.stringify(b.devices);
}
