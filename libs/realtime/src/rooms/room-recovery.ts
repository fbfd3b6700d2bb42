import type { Position, Publication } from 'nestjs-realtime-protocol';
import type { Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import type { RecentEntry, RecentPublications, RecentRoom } from '../history/recent-publications.js';
import { isContinuous } from '../history/recovery.js';
import {
  MAX_RECOVERED,
  MAX_RECOVERED_BYTES,
  type LogRead,
  type LogState,
  type Retention,
  type RoomLog,
} from '../history/room-log.js';
import { isForMember } from './publication-header.js';
import type { RoomMember } from './room-member.js';
import { decodeLogEntry, readPublication, type RoomMessage } from './room-message.js';

/** A message of a room with history. */
export interface NumberedMessage extends RoomMessage {
  readonly position: Position;
}

/** What a join asks to be told of the past. */
export interface Wanted {
  readonly position?: Position | undefined;
  readonly since?: 'retention' | undefined;
}

export interface Recovery {
  /** Where the room stands for this member: what it gets from now on comes after it. */
  readonly position: Position;
  /** Undefined: it was not asked for. */
  readonly recovered?: boolean;
  readonly publications?: Publication[];
  /** Of the publications' texts. */
  readonly bytes: number;
  /** Binary values in all of them. */
  readonly attachments: number;
}

export interface RoomRecoveryDeps {
  readonly room: string;
  readonly retention: Retention;
  readonly log: Pick<RoomLog, 'read'>;
  readonly clock: Clock;
  readonly metrics: Pick<RealtimeMetrics, 'dropped'>;
  readonly recent: RecentPublications<NumberedMessage>;
  /** Where the room stands on this node, and which epochs have ended before. */
  readonly standing: () => { readonly position: Position; readonly forks: LogState['forks'] | undefined };
}

/** Tries to read what a join needs, each time from where the room stands then. */
const LOADS = 3;

/**
 * What a member that comes back has missed, from the publications that this node remembers, and from the log once for all
 * who come back together. Refuses to give a part of it: all, or none.
 */
export class RoomRecovery {
  private readonly recent: RecentRoom<NumberedMessage>;
  /** Counts up with gaps and erasures: what is being read belongs to before. */
  private generation = 0;
  private loading: Promise<void> | undefined;
  private readonly parsed = new WeakMap<NumberedMessage, Publication | false>();

  constructor(
    private readonly deps: RoomRecoveryDeps,
    after: number,
  ) {
    this.recent = deps.recent.open(deps.room, deps.retention.size, after);
  }

  add(messages: readonly NumberedMessage[]): void {
    for (const message of messages) this.recent.push(message);
    this.deps.recent.evict();
  }

  /** The room goes on after this offset; what was before is not its past any more, or not all of it. */
  interrupt(after: number): void {
    this.generation += 1;
    this.recent.reset(after);
  }

  /** The log has forgotten what came before. */
  trim(start: number): void {
    this.recent.trim(start);
  }

  /** One entry, or all. */
  erase(offset: number | undefined): void {
    if (offset === undefined) return this.interrupt(this.deps.standing().position.offset);
    this.generation += 1;
    this.recent.erase(offset);
  }

  close(): void {
    this.generation += 1;
    this.deps.recent.close(this.recent);
  }

  /** What is in memory stays there until the returned function is called. */
  pin(): () => void {
    this.recent.pins += 1;
    this.deps.recent.touch(this.recent);
    return () => {
      this.recent.pins -= 1;
      this.deps.recent.evict();
    };
  }

  /** Makes sure that what is wanted is in memory, as far as anybody may recover it. Rejects as the log does. */
  async load(wanted: Wanted): Promise<void> {
    for (let attempt = 0; attempt < LOADS && this.isMissing(wanted); attempt += 1) {
      this.loading ??= this.read().finally(() => (this.loading = undefined));
      await this.loading;
    }
  }

  /** Synchronous: to be called in the turn that lets the member in, and answers it. */
  recover(wanted: Wanted, member: RoomMember): Recovery {
    const { position } = this.deps.standing();
    const nothing = { position, bytes: 0, attachments: 0 };
    if (!wanted.position && !wanted.since) return nothing;
    const after = this.startOf(wanted);
    const isRecovered = after !== undefined && after >= this.recent.completeAfter;
    if (!isRecovered) return { ...nothing, recovered: false };
    const nowMs = this.deps.clock.unixNow();
    const missed = this.recent.entries.filter(({ offset, message: { header } }) => {
      return offset > after && (header.t === undefined || header.t > nowMs) && isForMember(header, member);
    });
    const publications = missed.flatMap((entry) => this.publicationOf(entry) || []);
    return {
      ...{ position, recovered: true, publications },
      bytes: missed.reduce((sum, { bytes }) => sum + bytes, 0),
      attachments: missed.reduce((sum, { message: { header } }) => sum + (header.b?.length ?? 0), 0),
    };
  }

  private isMissing(wanted: Wanted): boolean {
    const { recent } = this;
    if (recent.isFull) return false;
    if (!wanted.position) return wanted.since !== undefined && !recent.isWhole;
    const after = this.startOf(wanted);
    return after !== undefined && after < recent.completeAfter;
  }

  /** The newest that anybody may recover, in one read. */
  private async read(): Promise<void> {
    const { log, room, retention, standing } = this.deps;
    const { generation } = this;
    const { position } = standing();
    const range = { before: position.offset + 1, limit: MAX_RECOVERED, maxBytes: MAX_RECOVERED_BYTES };
    const read = await log.read(room, retention, range);
    // Of another log than the one that was followed, or before a gap: another try knows more.
    if (generation !== this.generation || !isContinuous(position, read)) return;
    this.recent.loadOlder(decodeRead(read, this.deps.metrics), read.start, read.hasMore);
    this.deps.recent.evict();
  }

  /** The offset after which everything is wanted; undefined: nobody can tell. */
  private startOf({ position: from }: Wanted): number | undefined {
    if (!from) return this.recent.isWhole ? this.recent.completeAfter : undefined;
    const { position, forks = {} } = this.deps.standing();
    const ended = Object.hasOwn(forks, from.epoch) ? forks[from.epoch] : undefined;
    const end = from.epoch === position.epoch ? position.offset : ended;
    return end !== undefined && from.offset <= end ? from.offset : undefined;
  }

  private publicationOf({ offset, message }: RecentEntry<NumberedMessage>): Publication | false {
    let publication = this.parsed.get(message);
    if (publication === undefined) {
      publication = readPublication({ offset, text: message.text }) ?? false;
      this.parsed.set(message, publication);
    }
    return publication;
  }
}

/** Entries as the messages that the channel carried; what is not ours is counted and left out. */
export function decodeRead(read: LogRead, metrics: Pick<RealtimeMetrics, 'dropped'>): NumberedMessage[] {
  return read.entries.flatMap((entry) => {
    const message = decodeLogEntry(entry, read.epoch);
    if (message?.position) return message as NumberedMessage;
    metrics.dropped('malformed-room-message');
    return [];
  });
}
