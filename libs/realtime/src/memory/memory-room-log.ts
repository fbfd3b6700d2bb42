import type { Position } from 'nestjs-realtime-protocol';
import { roomChannel } from '../cluster/channels.js';
import type { ClusterBus } from '../cluster/cluster-bus.js';
import { systemClock, type Clock } from '../core/clock.js';
import { RealtimeError } from '../core/realtime-error.js';
import { boundExpiry, boundRange, boundRetention, idDigest, payloadDigest } from '../history/log-bounds.js';
import {
  PUBLICATION_WINDOW_MS,
  type LogRange,
  type LogRead,
  type LogState,
  type NewPublication,
  type PublishOutcome,
  type Retention,
  type RoomLog,
} from '../history/room-log.js';
import { ExpiringMap } from './expiring-map.js';
import { MemoryLogRoom } from './memory-log-room.js';

/** Ids remembered at once, about 300 bytes each. */
const MAX_IDS = 100_000;
/** Bytes of text of all rooms together; beyond it the room that was used longest ago is forgotten. */
const MAX_BYTES = 268_435_456;
/** Longest text, as between nodes with Redis. */
const MAX_MESSAGE_BYTES = 4_194_304;
/** Rooms looked at in each call for what has aged: all of them get their turn. */
const TRIMMED_AT_ONCE = 4;

interface Known {
  readonly digest: string;
  readonly position: Position | undefined;
  readonly until: number;
}

export interface MemoryRoomLogOptions {
  readonly maxBytes?: number | undefined;
  readonly maxMessageBytes?: number | undefined;
}

/** The logs of one process, with the answers that Redis would give; they end with it. Forgets as time goes by, without a timer. */
export class MemoryRoomLog implements RoomLog {
  readonly #bus: ClusterBus;
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #maxMessageBytes: number;
  /** By last use, the longest ago first. */
  readonly #rooms = new Map<string, MemoryLogRoom>();
  readonly #known: ExpiringMap<Known>;
  #bytes = 0;
  #toTrim: Iterator<[string, MemoryLogRoom], undefined> = this.#rooms.entries();

  constructor(bus: ClusterBus, clock: Clock = systemClock, options: MemoryRoomLogOptions = {}) {
    this.#bus = bus;
    this.#clock = clock;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
    this.#maxMessageBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
    this.#known = new ExpiringMap(clock, PUBLICATION_WINDOW_MS, MAX_IDS);
  }

  async publish(publication: NewPublication): Promise<PublishOutcome> {
    const { room, text, windowMs = PUBLICATION_WINDOW_MS } = publication;
    if (Buffer.byteLength(text) > this.#maxMessageBytes) {
      throw new RealtimeError('LIMIT_EXCEEDED', `A message between nodes may have ${this.#maxMessageBytes} bytes`);
    }
    this.#checkReachable();
    const now = this.#clock.now();
    const name = `${room} ${idDigest(publication)}`;
    const digest = windowMs > 0 ? payloadDigest(text) : '';
    const known = this.#known.get(name);
    if (digest !== '' && known !== undefined && known.until > now) {
      return { status: known.digest === digest ? 'repeat' : 'conflict', position: known.position };
    }
    const position = this.#append(publication, now);
    if (digest !== '') this.#known.set(name, { digest, position, until: now + windowMs });
    const head = position === undefined ? 'm' : `m${position.offset} ${position.epoch}`;
    await this.#bus.publish(roomChannel(room), `${head}\n${text}`);
    return { status: 'published', position };
  }

  async read(room: string, retention: Retention, range: LogRange): Promise<LogRead> {
    this.#checkReachable();
    return this.#change(room, retention, (log, now) => log.read(boundRange(range), now)) as LogRead;
  }

  async states(rooms: readonly { readonly room: string; readonly retention: Retention }[]): Promise<LogState[]> {
    this.#checkReachable();
    return rooms.map(({ room, retention }) => this.#change(room, retention, (log, now) => log.state(now)) as LogState);
  }

  async clear(room: string): Promise<void> {
    this.#checkReachable();
    this.#change(room, 'stored', (log) => log.clear());
  }

  async remove(room: string, { epoch, offset }: Position): Promise<boolean> {
    this.#checkReachable();
    const isRemoved = this.#change(room, 'stored', (log, now) =>
      log.state(now).epoch === epoch ? log.remove(offset, now) : undefined,
    );
    if (isRemoved === undefined) {
      throw new RealtimeError('NOT_FOUND', 'The position is of an epoch that this room does not know');
    }
    return isRemoved;
  }

  #append({ room, retention, text, expiresInMs }: NewPublication, now: number): Position | undefined {
    if (retention === undefined) return undefined;
    const position = this.#change(room, retention, (log) => log.append(text, now, boundExpiry(expiresInMs)));
    this.#trimSome(now);
    for (const [oldest, log] of this.#rooms) {
      if (this.#bytes <= this.#maxBytes || oldest === room) break;
      this.#forget(oldest, log);
    }
    return position;
  }

  /** Undefined for a room without a log if the retention to make one is not known. */
  #change<T>(
    room: string,
    retention: Retention | 'stored',
    change: (log: MemoryLogRoom, now: number) => T,
  ): T | undefined {
    const now = this.#clock.now();
    const found = this.#rooms.get(room);
    const bounded = retention === 'stored' ? retention : boundRetention(retention);
    const existing = found?.isForgotten(now) === false ? found : undefined;
    if (existing === undefined && found !== undefined) this.#forget(room, found);
    const log = existing ?? (bounded === 'stored' ? undefined : new MemoryLogRoom(bounded));
    if (log === undefined) return undefined;
    this.#rooms.delete(room);
    this.#rooms.set(room, log);
    const before = log.bytes;
    log.use(bounded, now);
    const result = change(log, now);
    this.#bytes += log.bytes - before;
    return result;
  }

  #trimSome(now: number): void {
    for (let i = 0; i < TRIMMED_AT_ONCE; i += 1) {
      const next = this.#toTrim.next();
      if (next.done === true) {
        this.#toTrim = this.#rooms.entries();
        return;
      }
      const [room, log] = next.value;
      const before = log.bytes;
      if (log.isForgotten(now)) this.#forget(room, log);
      else log.trim(now);
      if (this.#rooms.get(room) === log) this.#bytes += log.bytes - before;
    }
  }

  #forget(room: string, log: MemoryLogRoom): void {
    this.#rooms.delete(room);
    this.#bytes -= log.bytes;
  }

  #checkReachable(): void {
    if (this.#bus.state === 'down') throw new RealtimeError('UNAVAILABLE');
  }
}
