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
import { presenceUser, type StoredEntry } from '../presence/presence-user.js';
import { roomKey } from './key-names.js';
import { PresenceIndex } from './presence-index.js';
import { PRESENCE_SCRIPTS } from './presence-scripts.js';
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
    const keys = [this.key(room, 'p'), this.key(room, 'pm')];
    const reply = await this.redis.run(PRESENCE_SCRIPTS.read, keys, [String(maxListed), String(MAX_LISTED_BYTES)]);
    const [epoch = '', version, count, isListed, ...listed] = reply as string[];
    const state = { epoch, version: Number(version), count: Number(count) };
    if (isListed !== '1') return state;
    return { ...state, users: pairs(listed).map(([id, json]) => presenceUser(id, stored(json).values())) };
  }

  async list(room: string, page: { cursor?: string | undefined; limit: number }): Promise<PresencePage> {
    const { items, ...rest } = await this.page(room, 'pu', page);
    return { ...rest, users: items.map(([id, json]) => presenceUser(id, stored(json).values())) };
  }

  async entries(
    room: string,
    page: { cursor?: string | undefined; limit: number },
  ): Promise<{ entries: PresenceEntry[]; next?: string | undefined }> {
    const { items, next } = await this.page(room, 'pi', page);
    const entries = items.flatMap(([member, json]): PresenceEntry[] => {
      const [incarnation = '', connectionId = '', ...user] = member.split(SEPARATOR);
      const entry = stored(json).get(connectionId);
      if (entry?.incarnation !== incarnation) return [];
      const { device, meta } = entry;
      const known = { userId: user.join(SEPARATOR), connectionId, incarnation: entry.incarnation, device };
      return [meta === undefined ? known : { ...known, meta: JSON.parse(meta) as unknown }];
    });
    return { entries, next };
  }

  async get(room: string, userId: string): Promise<PresenceUser | undefined> {
    const json = (await this.redis.command('HGET', this.key(room, 'p'), userId)) as string | null;
    return json === null ? undefined : presenceUser(userId, stored(json).values());
  }

  async count(room: string): Promise<{ users: number; connections: number }> {
    const [users, connections] = await Promise.all([
      this.redis.command('HLEN', this.key(room, 'p')),
      this.redis.command('ZCARD', this.key(room, 'pi')),
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
          this.redis.command('HLEN', this.key(room, 'p')),
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
    const keys = ['p', 'pm', 'pi', 'pu', 'pl'].map((name) => this.key(room, name));
    const common = [
      ...[this.key(room, 'ch'), randomId(), String(EMPTY_ROOM_TTL_MS / 1_000)],
      ...[String(LAST_SEEN_TTL_MS / 1_000), String(MAX_LAST_SEEN)],
    ];
    const reply = await this.redis.run(script, keys, [...common, ...args]);
    return JSON.parse(String(reply)) as Reply;
  }

  private async page(
    room: string,
    index: 'pu' | 'pi',
    { cursor, limit }: { cursor?: string | undefined; limit: number },
  ): Promise<{ epoch: string; version: number; items: [string, string][]; next?: string }> {
    const keys = [this.key(room, 'p'), this.key(room, 'pm'), this.key(room, index)];
    const from = cursor === undefined ? '-' : `(${Buffer.from(cursor, 'base64url').toString()}`;
    const reply = await this.redis.run(PRESENCE_SCRIPTS.page, keys, [from, String(limit)]);
    const [epoch = '', version, ...listed] = reply as string[];
    const all = pairs(listed);
    const items = all.slice(0, limit);
    const last = items.at(-1);
    const page = { epoch, version: Number(version), items };
    return last && all.length > limit ? { ...page, next: Buffer.from(last[0]).toString('base64url') } : page;
  }

  private key(room: string, name: string): string {
    return this.redis.keyPrefix + roomKey(room, name);
  }
}

const flag = (value: unknown): string => (value ? '1' : '');

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index] ?? '', flat[2 * index + 1] ?? '']);
}

/** A user's connections; empty for a user who is gone. */
function stored(json: string): Map<string, StoredEntry> {
  type Raw = { i: Incarnation; d: string; m?: string; n: number };
  const raw = json === '' ? {} : (JSON.parse(json) as Record<string, Raw>);
  return new Map(
    Object.entries(raw).map(([id, { i, d, m, n }]) => [id, { incarnation: i, device: d, meta: m, order: n }]),
  );
}
