/** Names that start with this are the library's own: events, and rooms nobody may join. */
export const RESERVED_PREFIX = 'realtime:';
/** Longest room name, in characters (design: 1 to 200). */
export const MAX_ROOM_NAME = 200;

const ROOM_NAME = /^[A-Za-z0-9_\-.:/@|+%]{1,200}$/;
const EVENT_NAME = /^[A-Za-z0-9:_./-]{1,64}$/;

/** 1 to 200 characters of `A-Z a-z 0-9 _ - . : / @ | + %`, and not one of ours. */
export function isRoomName(value: unknown): value is string {
  return typeof value === 'string' && ROOM_NAME.test(value) && !value.startsWith(RESERVED_PREFIX);
}

/** An event that no gateway declares has to look like this to be worth a `NOT_FOUND`; declared ones may have any name. */
export function isEventName(value: unknown): value is string {
  return typeof value === 'string' && EVENT_NAME.test(value);
}

export function isReservedEvent(event: string): boolean {
  return event.startsWith(RESERVED_PREFIX);
}

/** Percent-encodes what a room name may not contain, so that any id fits into one segment. */
export function encodeSegment(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/**
 * Fills a pattern: `roomName('chat/:id', { id: 'a b' })` is `chat/a%20b`.
 * @throws TypeError if a parameter is missing or the result is not a room name.
 */
export function roomName(pattern: string, params: Record<string, string> = {}): string {
  const name = pattern
    .split('/')
    .map((segment) => {
      if (!segment.startsWith(':')) return segment;
      const value = params[segment.slice(1)];
      if (value === undefined || value === '')
        throw new TypeError(`roomName('${pattern}') needs the parameter '${segment.slice(1)}'`);
      return encodeSegment(value);
    })
    .join('/');
  if (!isRoomName(name)) throw new TypeError(`'${pattern}' does not give a valid room name`);
  return name;
}

/** The room that holds every connection of one user, whatever its namespace. */
export function userRoom(userId: string): string {
  return `user/${encodeSegment(userId)}`;
}
