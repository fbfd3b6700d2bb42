import type { PresenceUser } from 'nestjs-realtime-protocol';
import type { PresenceChange } from './presence-store.js';

/** Largest message that a script of ours can make: a user with a few hundred devices. Anything larger is not ours. */
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
  const { epoch, version, count, bytes, user } = value;
  return (
    typeof epoch === 'string' &&
    epoch !== '' &&
    isCount(version) &&
    version > 0 &&
    isCount(count) &&
    (bytes === undefined || isCount(bytes)) &&
    isUser(user)
  );
}

function isUser(value: unknown): value is PresenceUser {
  return (
    isRecord(value) &&
    typeof value['id'] === 'string' &&
    Array.isArray(value['devices']) &&
    value['devices'].every((device) => isRecord(device) && typeof device['device'] === 'string')
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
