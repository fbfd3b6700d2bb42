import type { PresenceDeviceChange, PresenceUser } from 'nestjs-realtime-protocol';
import type { PresenceChange } from './presence-store.js';

/** Larger than any message that a script of ours can make: 16 devices with metadata. */
const MAX_CHANGE_CHARS = 1_048_576;

/** Reads what came over the room's channel (without the leading `p`); undefined for anything that is not a change. */
export function parsePresenceChange(json: string): PresenceChange | undefined {
  if (json.length > MAX_CHANGE_CHARS) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return isChange(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isChange(value: unknown): value is PresenceChange {
  if (!isRecord(value)) return false;
  const { epoch, version, count, bytes, user, devices } = value;
  return (
    typeof epoch === 'string' &&
    epoch !== '' &&
    isCount(version) &&
    version > 0 &&
    isCount(count) &&
    (bytes === undefined || isCount(bytes)) &&
    (devices === undefined ? isUser(user) : user === undefined && areChanges(devices))
  );
}

function isUser(value: unknown): value is PresenceUser {
  return (
    isRecord(value) &&
    typeof value['id'] === 'string' &&
    Array.isArray(value['devices']) &&
    value['devices'].every(isDevice) &&
    (value['more'] === undefined || isCount(value['more']))
  );
}

/** All of one user. */
function areChanges(value: unknown): value is PresenceDeviceChange[] {
  if (!Array.isArray(value) || value.length === 0) return false;
  const list: unknown[] = value;
  const [first] = list;
  return isRecord(first) && typeof first['id'] === 'string' && list.every((item) => isDeviceChange(item, first['id']));
}

function isDeviceChange(value: unknown, id: unknown): boolean {
  if (!isRecord(value) || value['id'] !== id) return false;
  const { set, drop, more } = value;
  return (
    (set === undefined || isDevice(set)) &&
    (drop === undefined || typeof drop === 'string') &&
    (more === undefined || isCount(more))
  );
}

function isDevice(value: unknown): boolean {
  return isRecord(value) && typeof value['device'] === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Whom the change is about. */
export function userIdOf({ user, devices }: PresenceChange): string {
  return user?.id ?? devices?.[0]?.id ?? '';
}
