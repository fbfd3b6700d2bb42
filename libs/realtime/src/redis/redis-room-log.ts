import { createHash } from 'node:crypto';
import type { Position } from 'nestjs-realtime-protocol';
import { roomChannel } from '../cluster/channels.js';
import { randomId } from '../core/ids.js';
import { RealtimeError } from '../core/realtime-error.js';
import {
  boundExpiry,
  boundRange,
  boundRetention,
  idDigest,
  payloadDigest,
  type BoundedRange,
} from '../history/log-bounds.js';
import {
  LOG_META_TTL_MS,
  MAX_FORKS,
  PUBLICATION_WINDOW_MS,
  type LogEntry,
  type LogRange,
  type LogRead,
  type LogState,
  type NewPublication,
  type PublishOutcome,
  type Retention,
  type RoomLog,
} from '../history/room-log.js';
import { roomKey } from './key-names.js';
import { loadScript } from './load-script.js';
import type { RedisScript, ScriptRunner } from './script-runner.js';

const PUBLISH = loadLogScript('log-publish');
const READ = loadLogScript('log-read');
const CLEAR = loadLogScript('log-clear');
const REMOVE = loadLogScript('log-remove');

/** Entries that one call of the read script looks at: well below a millisecond in Redis for small ones. */
const MAX_LOOKED_AT = 1_200;
/** Rooms whose states are on their way at once: a node with more rooms must not fill the queue of commands. */
const STATES_AT_ONCE = 500;

type ReadReply = [epoch: string, offset: string, start: string, forks: string[], more: string, entries: string[]];

/**
 * The logs in Redis: each call is one script in the room's slot, by Redis' own clock. Refuses to read without a bound,
 * and to trust a server that is not the one that counted before: its epoch is another.
 * Invariant: what the channel carried with a position, the log had at that moment.
 */
export class RedisRoomLog implements RoomLog {
  constructor(
    private readonly redis: ScriptRunner,
    /** Of one message on a channel. */
    private readonly maxMessageBytes: number,
  ) {}

  async publish(publication: NewPublication): Promise<PublishOutcome> {
    const { room, text, retention, expiresInMs, windowMs = PUBLICATION_WINDOW_MS } = publication;
    if (Buffer.byteLength(text) > this.maxMessageBytes) {
      throw new RealtimeError('LIMIT_EXCEEDED', `A message between nodes may have ${this.maxMessageBytes} bytes`);
    }
    const isNamed = windowMs > 0;
    const once = this.key(room, isNamed ? `once:${idDigest(publication)}` : 'once');
    const [status, offset, epoch] = (await this.run(PUBLISH, room, [once], retention, [
      this.redis.keyPrefix + roomChannel(room),
      text,
      isNamed ? payloadDigest(text) : '',
      String(Math.ceil(windowMs)),
      String(boundExpiry(expiresInMs) ?? ''),
    ])) as [PublishOutcome['status'], string?, string?];
    return epoch === undefined ? { status } : { status, position: { epoch, offset: Number(offset) } };
  }

  async read(room: string, retention: Retention, range: LogRange): Promise<LogRead> {
    const bounded = boundRange(range);
    let { after, before } = bounded;
    let pages: LogEntry[] = [];
    let epoch: string | undefined;
    for (;;) {
      const reply = await this.readPage(room, retention, { ...bounded, after, before }, pages);
      const [pageEpoch, , , , more, flat] = reply;
      if (epoch !== undefined && pageEpoch !== epoch) {
        // Another server between two pages: it may have lost what the first pages showed.
        ({ after, before } = bounded);
        pages = [];
        epoch = undefined;
        continue;
      }
      epoch = pageEpoch;
      pages.push(...toEntries(flat));
      if (more === 'end' || more === 'cut') {
        const entries = after === undefined ? pages.reverse() : pages;
        return { ...toState(reply), entries, hasMore: more === 'cut' };
      }
      if (after === undefined) before = Number(more);
      else after = Number(more);
    }
  }

  async states(rooms: readonly { readonly room: string; readonly retention: Retention }[]): Promise<LogState[]> {
    const states: LogState[] = [];
    for (let from = 0; from < rooms.length; from += STATES_AT_ONCE) {
      const batch = rooms.slice(from, from + STATES_AT_ONCE);
      const args = ['', '', '-1', '0', '0', '0', '0'];
      const replies = await Promise.all(batch.map(({ room, retention }) => this.run(READ, room, [], retention, args)));
      states.push(...replies.map((reply) => toState(reply as ReadReply)));
    }
    return states;
  }

  async clear(room: string): Promise<void> {
    await this.run(CLEAR, room, [], 'stored', []);
  }

  async remove(room: string, { epoch, offset }: Position): Promise<boolean> {
    const wanted = Number.isSafeInteger(offset) && offset > 0 ? offset : 0;
    const removed = await this.run(REMOVE, room, [], 'stored', [epoch, String(wanted)]);
    if (removed === -1)
      throw new RealtimeError('NOT_FOUND', 'The position is of an epoch that this room does not know');
    return removed === 1;
  }

  private async readPage(
    room: string,
    retention: Retention,
    { after, before, limit, maxBytes }: BoundedRange,
    soFar: readonly LogEntry[],
  ): Promise<ReadReply> {
    const bytes = soFar.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    const bounds = [limit, maxBytes, soFar.length, bytes, MAX_LOOKED_AT].map(String);
    const args = [String(after ?? ''), String(before ?? ''), ...bounds];
    return (await this.run(READ, room, [], retention, args)) as ReadReply;
  }

  /** The arguments of log-room.lua, then the script's own. */
  private run(
    script: RedisScript,
    room: string,
    moreKeys: readonly string[],
    retention: Retention | 'stored' | undefined,
    args: readonly string[],
  ): Promise<unknown> {
    const keys = [this.key(room, 'log'), this.key(room, 'logm'), ...moreKeys];
    const shared = [randomId(9), ...retentionArgs(retention), String(LOG_META_TTL_MS), String(MAX_FORKS)];
    return this.redis.run(script, keys, [...shared, ...args]);
  }

  private key(room: string, suffix: string): string {
    return this.redis.keyPrefix + roomKey(room, suffix);
  }
}

function retentionArgs(retention: Retention | 'stored' | undefined): string[] {
  if (retention === undefined || retention === 'stored') return [retention ?? '', ''];
  const { size, ttlMs } = boundRetention(retention);
  return [String(size), String(ttlMs)];
}

function toState([epoch, offset, start, forks]: ReadReply): LogState {
  const ended: Record<string, number> = {};
  for (let i = 0; i + 1 < forks.length; i += 2) ended[String(forks[i])] = Number(forks[i + 1]);
  return { epoch, offset: Number(offset), start: Number(start), forks: ended };
}

function toEntries(flat: readonly string[]): LogEntry[] {
  const entries: LogEntry[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) entries.push({ offset: Number(flat[i]), text: String(flat[i + 1]) });
  return entries;
}

/** `log-room.lua`, which all of them need, and the script's own file behind it. */
function loadLogScript(name: string): RedisScript {
  const lua = `${loadScript('log-room').lua}\n${loadScript(name).lua}`;
  return { name, lua, sha1: createHash('sha1').update(lua).digest('hex') };
}
