import type { PresenceState, PresenceUser } from 'nestjs-realtime-protocol';
import type { Incarnation } from '../core/ids.js';
import { randomId } from '../core/ids.js';
import { encodeMeta } from '../presence/presence-meta.js';
import {
  EMPTY_ROOM_TTL_MS,
  LAST_SEEN_TTL_MS,
  MAX_LAST_SEEN,
  MAX_LISTED_BYTES,
  type EnterOptions,
  type EnterResult,
  type PresenceEntry,
  type PresencePage,
  type PresenceStore,
  type PresenceTransition,
} from '../presence/presence-store.js';
import { isOwnRoom, ownUser, presenceUser, type StoredEntry } from '../presence/presence-user.js';
import { roomKey } from './key-names.js';
import { PresenceIndex } from './presence-index.js';
import { PRESENCE_KEYS, PRESENCE_SCRIPTS } from './presence-scripts.js';
import type { RedisScript, ScriptRunner } from './script-runner.js';

type EntryIds = Pick<PresenceEntry, 'userId' | 'connectionId' | 'incarnation'>;
type Told = Omit<PresenceTransition, 'room'>;
type Entered = Omit<Extract<EnterResult, { status: 'entered' }>, 'status' | 'transition'> & { transition: Told };

/** Entries that one call of the sweep script removes: well below a millisecond in Redis. */
const SWEEP_BATCH = 100;
const SEPARATOR = '\x1f';

/**
 * Presence in Redis: each write is one script in the room's slot, which makes the change, counts it and publishes it.
 * Refuses to ask other nodes anything, to read without a bound, and to trust any clock but Redis' own.
 * Invariant: who is told of a version can read it.
 */
export class RedisPresenceStore implements PresenceStore {
  private readonly index: PresenceIndex;

  constructor(private readonly redis: ScriptRunner) {
    this.index = new PresenceIndex(redis);
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async enter(room: string, entry: PresenceEntry, options: EnterOptions = {}): Promise<EnterResult> {
    const { userId, connectionId, incarnation, device } = entry;
    const { maxPerUser, maxTotal, onFull, replaceDevice, restore } = options;
    const meta = encodeMeta(entry.meta) ?? '';
    const reply = await this.index.entering({ incarnation, room, isNew: !!restore }, () =>
      this.write<Entered | { full: number; isLast: boolean; epoch?: undefined }>(PRESENCE_SCRIPTS.enter, room, [
        ...[userId, connectionId, incarnation, device, meta],
        ...[String(maxPerUser ?? 0), String(maxTotal ?? 0), flag(onFull === 'evict-oldest'), flag(replaceDevice)],
        ...[flag(restore), restore?.epoch ?? ''],
      ]),
    );
    if (reply.epoch === undefined) {
      if (reply.isLast) this.index.left(incarnation, room);
      return { status: 'full', count: reply.full };
    }
    return { ...reply, status: 'entered', transition: { room, ...reply.transition } };
  }

  async leave(room: string, { userId, connectionId, incarnation }: EntryIds): Promise<PresenceTransition> {
    const args = [userId, connectionId, incarnation];
    type Left = { transition: Told; isLast: boolean };
    const { transition, isLast } = await this.write<Left>(PRESENCE_SCRIPTS.leave, room, args);
    if (isLast) this.index.left(incarnation, room);
    return { room, ...transition };
  }

  async update(
    room: string,
    { userId, connectionId, incarnation }: EntryIds,
    meta: unknown,
  ): Promise<PresenceTransition> {
    const args = [userId, connectionId, incarnation, encodeMeta(meta) ?? ''];
    return { room, ...(await this.write<Told>(PRESENCE_SCRIPTS.update, room, args)) };
  }

  async sweep(incarnation: Incarnation, onTransition: (transition: PresenceTransition) => void): Promise<void> {
    for await (const rooms of this.index.rooms(incarnation)) {
      await Promise.all(rooms.map((room) => this.sweepRoom(room, incarnation, onTransition)));
    }
  }

  forget(incarnation: Incarnation): Promise<void> {
    return this.index.forget(incarnation);
  }

  async read(room: string, maxListed: number): Promise<PresenceState> {
    const limits = [String(maxListed), String(MAX_LISTED_BYTES)];
    const reply = (await this.redis.run(PRESENCE_SCRIPTS.read, this.keys(room, 7), limits)) as string[];
    const [epoch = '', version, count, how, ...listed] = reply;
    const state = { epoch, version: Number(version), count: Number(count) };
    if (how === 'count') return state;
    if (how === 'entries') return { ...state, users: usersOf(room, pairs(listed)) };
    return { ...state, users: listed.map((json) => JSON.parse(json) as PresenceUser) };
  }

  async list(room: string, page: { cursor?: string | undefined; limit: number }): Promise<PresencePage> {
    const reply = await this.redis.run(PRESENCE_SCRIPTS.page, this.keys(room, 7), [from(page), String(page.limit)]);
    const [epoch = '', version, ...listed] = reply as string[];
    const { items, next } = pageOf(listed, page.limit);
    const users = items.map(([, json]) => JSON.parse(json) as PresenceUser);
    return { epoch, version: Number(version), users, ...next };
  }

  async entries(
    room: string,
    page: { cursor?: string | undefined; limit: number },
  ): Promise<{ entries: PresenceEntry[]; next?: string | undefined }> {
    const reply = await this.redis.run(PRESENCE_SCRIPTS.entries, this.keys(room, 8), [from(page), String(page.limit)]);
    const { items, next } = pageOf(reply as string[], page.limit);
    const entries = items.flatMap(([member, json]): PresenceEntry[] => {
      if (json === '') return [];
      const [, connectionId = ''] = member.split(SEPARATOR);
      const { userId, incarnation, device, meta } = stored(json);
      const entry = { userId, connectionId, incarnation, device };
      return [meta === undefined ? entry : { ...entry, meta: JSON.parse(meta) as unknown }];
    });
    return { entries, ...next };
  }

  async get(room: string, userId: string): Promise<PresenceUser | undefined> {
    const reply = await this.redis.run(PRESENCE_SCRIPTS.page, this.keys(room, 7), [`[${userId}`, '0']);
    const [, , id, json = ''] = reply as string[];
    return id === userId ? (JSON.parse(json) as PresenceUser) : undefined;
  }

  async count(room: string): Promise<{ users: number; connections: number }> {
    const [users, connections] = await Promise.all([
      this.redis.command('HLEN', this.key(room, 'pn')),
      this.redis.command('HLEN', this.key(room, 'pc')),
    ]);
    return { users: Number(users), connections: Number(connections) };
  }

  async lastSeen(room: string, userId: string): Promise<number | undefined> {
    const score = await this.redis.command('ZSCORE', this.key(room, 'pl'), userId);
    return score === null ? undefined : Number(score);
  }

  versions(rooms: readonly string[]): Promise<({ epoch: string; version: number } | undefined)[]> {
    return Promise.all(
      rooms.map(async (room) => {
        const [meta, users] = await Promise.all([
          this.redis.command('HMGET', this.key(room, 'pm'), 'e', 'v'),
          this.redis.command('HLEN', this.key(room, 'pn')),
        ]);
        const [epoch, version] = meta as (string | null)[];
        return epoch && Number(users) > 0 ? { epoch, version: Number(version) } : undefined;
      }),
    );
  }

  private async sweepRoom(
    room: string,
    incarnation: Incarnation,
    onTransition: (transition: PresenceTransition) => void,
  ): Promise<void> {
    type Swept = { transitions: Told[]; isDone: boolean };
    for (let isDone = false; !isDone;) {
      const swept: Swept = await this.write(PRESENCE_SCRIPTS.sweep, room, [incarnation, String(SWEEP_BATCH)]);
      for (const transition of swept.transitions) {
        if (transition.kind !== 'none') onTransition({ room, ...transition });
      }
      isDone = swept.isDone;
    }
  }

  private async write<Reply>(script: RedisScript, room: string, args: readonly string[]): Promise<Reply> {
    const common = [
      ...[this.key(room, 'ch'), randomId(), String(EMPTY_ROOM_TTL_MS / 1_000)],
      ...[String(LAST_SEEN_TTL_MS / 1_000), String(MAX_LAST_SEEN), flag(isOwnRoom(room))],
    ];
    const reply = await this.redis.run(script, this.keys(room, PRESENCE_KEYS.length), [...common, ...args]);
    return JSON.parse(String(reply)) as Reply;
  }

  /** The first `count` keys of a room. */
  private keys(room: string, count: number): string[] {
    return PRESENCE_KEYS.slice(0, count).map((name) => this.key(room, name));
  }

  private key(room: string, name: string): string {
    return this.redis.keyPrefix + roomKey(room, name);
  }
}

const flag = (value: unknown): string => (value ? '1' : '');

const from = ({ cursor }: { cursor?: string | undefined }): string =>
  cursor === undefined ? '-' : `(${Buffer.from(cursor, 'base64url').toString()}`;

function pageOf(flat: readonly string[], limit: number): { items: [string, string][]; next: { next?: string } } {
  const all = pairs(flat);
  const items = all.slice(0, limit);
  const last = items.at(-1);
  return { items, next: last && all.length > limit ? { next: Buffer.from(last[0]).toString('base64url') } : {} };
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index] ?? '', flat[2 * index + 1] ?? '']);
}

/** As `pc` keeps it; see `presence-user.lua`. */
function stored(json: string): StoredEntry & { userId: string } {
  const [userId, incarnation, device, meta, order] = JSON.parse(json) as [
    string,
    Incarnation,
    string,
    string | false,
    number,
  ];
  return { userId, incarnation, device, meta: meta === false ? undefined : meta, order };
}

/** The users of all entries, who are as many as the entries as a rule. */
function usersOf(room: string, entries: readonly [string, string][]): PresenceUser[] {
  const byUser = new Map<string, StoredEntry[]>();
  for (const [, json] of entries) {
    const entry = stored(json);
    const known = byUser.get(entry.userId);
    if (known) known.push(entry);
    else byUser.set(entry.userId, [entry]);
  }
  return [...byUser].map(([id, own]) => (isOwnRoom(room) ? ownUser(id, own.length) : presenceUser(id, own)));
}
