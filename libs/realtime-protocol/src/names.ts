/** Names that start with this are the library's own: events, and rooms nobody may join. */
export const RESERVED_PREFIX = 'realtime:';
/** Longest room name, in characters (design: 1 to 200). */
export const MAX_ROOM_NAME = 200;

const ALPHABET = /^[A-Za-z0-9_\-.:/@|+%]{1,200}$/;
const EVENT_NAME = /^[A-Za-z0-9:_./-]{1,64}$/;
/** They forge, hide or reverse what somebody reads, and no other system takes them as they are. */
const UNFIT = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
const HALF_CHARACTER = /\p{Cs}/u;
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/;
const USER_ROOMS = 'user/';
/** What stands for itself in a room name, and what `encodeURIComponent` escapes all the same. */
const NEEDLESSLY_ESCAPED = /[:@|+]/;
const NEEDLESS_ESCAPES = /%(?:3A|40|7C|2B)/g;
const RESERVED = `must not start with '${RESERVED_PREFIX}'`;
const DOTS = "must not have the segment '.' or '..'";

/** The one name of a room: see `roomNameProblem`. */
export function isRoomName(value: unknown): value is string {
  return roomNameProblem(value) === undefined;
}

/**
 * Why this names no room, as the end of a sentence about it; undefined if it names one. A room has one name: 1 to 200 characters of
 * `A-Z a-z 0-9 _ - . : / @ | + %`, each segment as `encodeSegment` writes its value (in rooms of users as `userRoom` does). No
 * segment is `.` or `..` or holds control or bidi characters, escaped or not, and the name is not one of ours.
 */
export function roomNameProblem(value: unknown): string | undefined {
  if (typeof value !== 'string' || !ALPHABET.test(value))
    return 'must be 1 to 200 characters of A-Z a-z 0-9 _ - . : / @ | + %: use roomName()';
  if (value.startsWith(RESERVED_PREFIX)) return RESERVED;
  if (DOT_SEGMENT.test(value)) return DOTS;
  // Most names: written without an escape, and needing none, it is the only form of itself.
  if (!value.includes('%') && !(value.startsWith(USER_ROOMS) && NEEDLESSLY_ESCAPED.test(value))) return undefined;
  return problemOf(value, value.split('/').map(decodeSegment));
}

function problemOf(name: string, segments: readonly (string | undefined)[]): string | undefined {
  if (!segments.every((segment) => segment !== undefined))
    return 'must not have an escape that stands for no character';
  if (segments[0]?.startsWith(RESERVED_PREFIX)) return RESERVED;
  if (segments.some((segment) => segment === '.' || segment === '..')) return DOTS;
  if (segments.some((segment) => UNFIT.test(segment))) return 'must not hold control or bidi characters';
  const canonical = nameOf(segments);
  return canonical === name ? undefined : `must be '${canonical}': a room has one name`;
}

/** An event that no gateway declares has to look like this to be worth a `NOT_FOUND`; declared ones may have any name. */
export function isEventName(value: unknown): value is string {
  return typeof value === 'string' && EVENT_NAME.test(value);
}

export function isReservedEvent(event: string): boolean {
  return event.startsWith(RESERVED_PREFIX);
}

/**
 * Percent-encodes what a room name may not contain, and nothing else, so that any id fits into one segment.
 * @throws URIError for half a character (a lone surrogate).
 */
export function encodeSegment(value: string): string {
  return encodeAll(value).replace(NEEDLESS_ESCAPES, decodeURIComponent);
}

/** The value of a segment; undefined if an escape in it stands for no character. */
export function decodeSegment(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/**
 * Fills a pattern: `roomName('chat/:id', { id: 'a b' })` is `chat/a%20b`.
 * @throws TypeError if a parameter is missing or the result is not a room name.
 */
export function roomName(pattern: string, params: Record<string, string> = {}): string {
  const segments = pattern.split('/').map((segment) => {
    if (!segment.startsWith(':')) return literalOf(pattern, segment);
    const value = params[segment.slice(1)];
    if (value === undefined || value === '')
      throw new TypeError(`roomName('${pattern}') needs the parameter '${segment.slice(1)}'`);
    return value;
  });
  const name = segments.some((segment) => HALF_CHARACTER.test(segment)) ? undefined : nameOf(segments);
  const problem = name === undefined ? 'must not hold half a character' : roomNameProblem(name);
  if (name === undefined || problem !== undefined)
    throw new TypeError(`'${pattern}' does not give a valid room name: it ${problem}`);
  return name;
}

function literalOf(pattern: string, segment: string): string {
  const value = decodeSegment(segment);
  if (value === undefined) throw new TypeError(`'${pattern}' has an escape that stands for no character`);
  return value;
}

/** The room that holds every connection of one user, whatever its namespace. In it `: @ | +` are escaped, too. */
export function userRoom(userId: string): string {
  return USER_ROOMS + encodeAll(userId);
}

/** Rooms of users keep the escapes that they always had: their names are made by every node and every version for itself. */
function nameOf([first = '', ...rest]: readonly string[]): string {
  const encode = first === 'user' ? encodeAll : encodeSegment;
  return [encodeSegment(first), ...rest.map(encode)].join('/');
}

function encodeAll(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
