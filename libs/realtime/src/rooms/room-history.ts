import type { HistoryReply, Position, Publication } from 'nestjs-realtime-protocol';
import { roomChannel } from '../cluster/channels.js';
import type { ClusterBus } from '../cluster/cluster-bus.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import { isContinuous, isRecoverable } from '../history/recovery.js';
import type { LogRead, Retention, RoomLog } from '../history/room-log.js';
import { parseHeader } from './publication-header.js';
import { checkPosition, checkRoom, checkWhole } from './room-input.js';
import { encodeErasure, readPublication } from './room-message.js';
import type { RoomPolicies } from './room-policies.js';

export interface HistoryQuery {
  /** The oldest publications after this position. */
  readonly after?: Position | undefined;
  /** The newest publications before this position. Neither of both: the newest of all. */
  readonly before?: Position | undefined;
  /** Most publications, 1 to 1 000. A reply has 1 MiB at most, so it may have fewer: see `hasMore`. */
  readonly limit: number;
}

export interface HistoryBounds {
  readonly maxBytes?: number;
  /** Binary values in all publications together. */
  readonly maxAttachments?: number;
  /** Told the bytes of text that were read. */
  readonly onRead?: (bytes: number) => void;
}

export interface RoomHistoryDeps {
  readonly log: RoomLog;
  readonly bus: ClusterBus;
  readonly policies: Pick<RoomPolicies, 'retentionOf'>;
  readonly metrics: Pick<RealtimeMetrics, 'dropped'>;
}

/** Most publications that one read returns. */
export const MAX_HISTORY_LIMIT = 1_000;

/** What rooms have kept, for those who page back and those who erase. Refuses to give a history with a hole that nobody told of. */
export class RoomHistory {
  constructor(private readonly deps: RoomHistoryDeps) {}

  /** @throws RealtimeError as `RoomManager.history` says. */
  async read(room: string, query: HistoryQuery, bounds: HistoryBounds = {}): Promise<HistoryReply> {
    const retention = this.retentionOf(room);
    const { after, before, limit } = checkQuery(query);
    const range = { after: after?.offset, before: before?.offset, limit, maxBytes: bounds.maxBytes };
    const read = await this.deps.log.read(room, retention, range);
    bounds.onRead?.(read.entries.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0));
    if (after) checkKnown('after', after, read);
    if (before) checkKnown('before', before, read);
    if (after && !isRecoverable(after, read)) {
      throw new RealtimeError('NOT_FOUND', 'after is a position whose next publications are not kept any more');
    }
    return this.toReply(read, { isForward: after !== undefined, maxAttachments: bounds.maxAttachments ?? Infinity });
  }

  /** @throws RealtimeError as `RoomManager.clear` says. */
  async clear(room: string): Promise<void> {
    this.retentionOf(room);
    await this.deps.log.clear(room);
    await this.tellErased(room);
  }

  /** @throws RealtimeError as `RoomManager.remove` says. */
  async remove(room: string, position: Position): Promise<boolean> {
    this.retentionOf(room);
    const { epoch, offset } = checkPosition('position', position);
    const isRemoved = await this.deps.log.remove(room, { epoch, offset });
    // Also when it was gone already: a node may not have heard of it.
    await this.tellErased(room, offset);
    return isRemoved;
  }

  private retentionOf(room: string): Retention {
    const retention = this.deps.policies.retentionOf(checkRoom(room));
    if (retention) return retention;
    throw new RealtimeError(
      'BAD_REQUEST',
      'this room keeps no history: set `history` in its @RoomPolicy, `rooms.userHistory` for rooms of users',
    );
  }

  /** Nodes keep recent publications in memory. One that does not hear this forgets them when their time is over. */
  private tellErased(room: string, offset?: number): Promise<void> {
    return this.deps.bus
      .publish(roomChannel(room), encodeErasure(offset))
      .catch(() => this.deps.metrics.dropped('erasure-notice'));
  }

  private toReply(
    { entries, epoch, offset, hasMore }: LogRead,
    { isForward, maxAttachments }: { isForward: boolean; maxAttachments: number },
  ): HistoryReply {
    const publications: Publication[] = [];
    let attachments = 0;
    let isCut = false;
    for (const entry of isForward ? entries : entries.toReversed()) {
      const publication = readPublication(entry);
      if (!publication) {
        this.deps.metrics.dropped('malformed-room-message');
        continue;
      }
      attachments += parseHeader(entry.text)?.b?.length ?? 0;
      isCut = attachments > maxAttachments && publications.length > 0;
      if (isCut) break;
      publications.push(publication);
    }
    if (!isForward) publications.reverse();
    return { publications, position: { epoch, offset }, ...(hasMore || isCut ? { hasMore: true } : {}) };
  }
}

function checkQuery(query: HistoryQuery): HistoryQuery {
  const { after, before, limit } = (query ?? {}) as { readonly [K in keyof HistoryQuery]?: unknown };
  if (after !== undefined && before !== undefined) {
    throw new RealtimeError('BAD_REQUEST', 'give after or before, not both');
  }
  return {
    after: after === undefined ? undefined : checkPosition('after', after),
    before: before === undefined ? undefined : checkPosition('before', before),
    limit: checkWhole('limit', limit, { least: 1, most: MAX_HISTORY_LIMIT }),
  };
}

function checkKnown(name: string, position: Position, log: LogRead): void {
  if (isContinuous(position, log)) return;
  throw new RealtimeError('NOT_FOUND', `${name} is a position that this room does not know (any more, or not yet)`);
}
