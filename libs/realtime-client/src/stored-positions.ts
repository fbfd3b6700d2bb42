import type { Position } from 'nestjs-realtime-protocol';
import { isRecord } from './client-error.js';
import type { Debug } from './debug.js';
import type { OutboxStorage, PositionStore } from './options.js';
import { readOf } from './storage.js';

/** More rooms than one connection can be in: those that moved last are kept. */
const MAX_ROOMS = 128;
/** As long as a server that forgets nothing sooner knows a log without publications. */
const MAX_AGE_MS = 7 * 86_400_000;
/** All that moves within this time is one write. */
const WRITE_WITHIN_MS = 500;

export interface StoredPositionsOptions {
  /**
   * Default: `sessionStorage`: each tab goes on where this tab was, over reloads, until it is closed. With `localStorage` a new
   * tab goes on where the tab that moved last was, also days later. An app with one window gives what it has.
   */
  storage?: OutboxStorage;
  /** Name in the storage; the user is added. Default: derived from the URL. */
  key?: string;
}

/**
 * Keeps where rooms were over a reload: `positions: storedPositions()`. For each user apart, at most 128 rooms, for at most
 * 7 days; a storage that is full or denied is told to `debug`, and rooms begin anew after a reload. A function of its own,
 * so that a page without it does not load it.
 */
export function storedPositions({ storage, key }: StoredPositionsOptions = {}): PositionStore {
  return (url, debug) => new Shelf(storage, key ?? `realtime-positions:${url}`, debug);
}

/** Epoch, offset, and when it was written. */
type Stored = readonly [epoch: string, offset: number, at: number];

/**
 * The positions of one user at a time. It refuses to compare them: the newest written is the one.
 * Invariant: nothing of one user is read or written under another's name, and nothing is stored for nobody.
 */
class Shelf implements ReturnType<PositionStore> {
  /** Undefined: it is not known who is here. */
  #place: string | undefined;
  #rooms = new Map<string, Stored>();
  /** Moved since the last write; undefined: to be forgotten. */
  readonly #moved = new Map<string, Stored | undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly storage: OutboxStorage | undefined,
    private readonly key: string,
    private readonly debug: Debug,
  ) {}

  async open(principal: string | undefined): Promise<void> {
    const place = principal === undefined ? undefined : `${this.key}:${principal}`;
    if (place === this.#place) return;
    this.#flush();
    this.#place = place;
    this.#rooms = new Map();
    if (place === undefined) return;
    const rooms = await this.#load(place);
    if (place === this.#place) this.#rooms = new Map([...rooms, ...this.#rooms]);
  }

  get(room: string): Position | undefined {
    const [epoch, offset] = this.#rooms.get(room) ?? [];
    return epoch === undefined || offset === undefined ? undefined : { epoch, offset };
  }

  set(room: string, position: Position | undefined): void {
    const before = this.#rooms.get(room);
    if (this.#place === undefined || (before?.[0] === position?.epoch && before?.[1] === position?.offset)) return;
    const stored = position && ([position.epoch, position.offset, Date.now()] as const);
    this.#rooms.delete(room);
    if (stored) this.#rooms.set(room, stored);
    this.#moved.set(room, stored);
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(this.#flush, WRITE_WITHIN_MS);
    // A page that goes away runs no timer any more.
    globalThis.addEventListener?.('pagehide', this.#flush);
  }

  readonly #flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    globalThis.removeEventListener?.('pagehide', this.#flush);
    const place = this.#place;
    const moved = new Map(this.#moved);
    this.#moved.clear();
    if (place !== undefined && moved.size > 0) this.#write(place, moved);
  };

  /** Other tabs may write to the same place: what they moved stays. */
  #write(place: string, moved: ReadonlyMap<string, Stored | undefined>): void {
    try {
      const storage = this.#storage();
      const before = storage.getItem(place);
      const put = (text: unknown): unknown => storage.setItem(place, merged(text, moved));
      const written = before instanceof Promise ? before.then(put) : put(before);
      if (written instanceof Promise) written.catch((error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  async #load(place: string): Promise<Map<string, Stored>> {
    try {
      return parsePositions(await readOf(this.#storage().getItem(place)));
    } catch (error) {
      this.#fail(error);
      return new Map();
    }
  }

  /** Browsers may throw when it is only named. */
  #storage(): OutboxStorage {
    return this.storage ?? globalThis.sessionStorage;
  }

  #fail(why: unknown): void {
    this.debug('positions do not survive a reload', why);
  }
}

function merged(text: unknown, moved: ReadonlyMap<string, Stored | undefined>): string {
  const rooms = parsePositions(text);
  for (const [room, stored] of moved) {
    rooms.delete(room);
    if (stored) rooms.set(room, stored);
  }
  const newest = [...rooms].sort(([, [, , a]], [, [, , b]]) => b - a).slice(0, MAX_ROOMS);
  return JSON.stringify({ v: 1, rooms: Object.fromEntries(newest) });
}

/** Whatever is in the storage: another version of us, another program, a user with developer tools. */
function parsePositions(text: unknown): Map<string, Stored> {
  try {
    const value: unknown = JSON.parse(String(text));
    if (!isRecord(value) || value['v'] !== 1 || !isRecord(value['rooms'])) return new Map();
    return new Map(Object.entries(value['rooms']).filter((entry): entry is [string, Stored] => isFresh(entry[1])));
  } catch {
    return new Map();
  }
}

function isFresh(stored: unknown): boolean {
  if (!Array.isArray(stored)) return false;
  const [epoch, offset, at] = stored as unknown[];
  const isPosition = typeof epoch === 'string' && epoch !== '' && Number.isSafeInteger(offset) && Number(offset) >= 0;
  return isPosition && typeof at === 'number' && Date.now() - at < MAX_AGE_MS;
}
