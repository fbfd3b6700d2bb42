import { roomNameProblem, type Position } from 'nestjs-realtime-protocol';
import { RealtimeError } from '../core/realtime-error.js';
import { isDeliverable } from './room-message.js';

/** What server code hands to `RoomManager`, and names of rooms from anybody; each check throws `BAD_REQUEST`, naming the field and what it may be. */
export function checkRoom(room: unknown): string {
  const problem = roomNameProblem(room);
  if (problem !== undefined) throw bad(`room ${problem}`);
  return room as string;
}

/** Each room once. */
export function checkRooms(rooms: unknown): readonly string[] {
  const list: unknown = typeof rooms === 'string' ? [rooms] : rooms;
  if (!Array.isArray(list) || list.length === 0) throw bad('rooms must name at least one room');
  return [...new Set(list.map(checkRoom))];
}

export function checkText(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.length > 128) {
    throw bad(`${name} must be a string of 1 to 128 characters`);
  }
  return value;
}

export function checkEvent(event: unknown): string {
  if (typeof event !== 'string' || event === '' || event.length > 256) {
    throw bad('event must be a string of 1 to 256 characters');
  }
  if (!isDeliverable(event)) {
    throw bad(
      `this event name is reserved: choose one that does not start with 'realtime:' and is none of Socket.IO's own`,
    );
  }
  return event;
}

/** Connection ids as a list; undefined: nobody is excluded. */
export function checkExclude(exclude: unknown): readonly string[] | undefined {
  if (exclude === undefined) return undefined;
  const list: unknown = typeof exclude === 'string' ? [exclude] : exclude;
  if (!Array.isArray(list)) throw bad('exclude must be a connection id or a list of them');
  return list.length === 0 ? undefined : list.map((id) => checkText('exclude', id));
}

export function checkWhole(name: string, value: unknown, { least, most }: { least: number; most: number }): number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw bad(`${name} must be a whole number of ${least} to ${most}`);
  }
  return value as number;
}

const EPOCH = /^[\w-]{1,64}$/;

export function checkPosition(name: string, value: unknown): Position {
  const { epoch, offset } = (value ?? {}) as { readonly [K in keyof Position]?: unknown };
  if (typeof epoch !== 'string' || !EPOCH.test(epoch) || !Number.isSafeInteger(offset) || (offset as number) < 0) {
    throw bad(`${name} must be a position as it was given out: { epoch, offset }`);
  }
  return { epoch, offset: offset as number };
}

function bad(message: string): RealtimeError {
  return new RealtimeError('BAD_REQUEST', message);
}
