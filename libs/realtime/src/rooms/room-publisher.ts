import type { Position, PublishReply } from 'nestjs-realtime-protocol';
import { roomChannel } from '../cluster/channels.js';
import type { ClusterBus } from '../cluster/cluster-bus.js';
import type { Clock } from '../core/clock.js';
import { randomId } from '../core/ids.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { PublishOutcome, Retention, RoomLog } from '../history/room-log.js';
import { nextPublicationId } from '../requests/request-scope.js';
import { encodeData, type EncodedData } from './publication-body.js';
import type { PublicationHeader } from './publication-header.js';
import { mayBeWritten, type PublishQueue } from './publish-queue.js';
import type { RoomBroadcast } from './room-broadcast.js';
import { checkEvent, checkExclude, checkRoom, checkRooms, checkText, checkWhole } from './room-input.js';
import { decodeRoomMessage, encodeRoomMessage, toPayload } from './room-message.js';
import type { RoomRegistry } from './room-registry.js';

export interface EmitOptions {
  /** Connections (socket ids) that do not get it. */
  readonly exclude?: string | readonly string[] | undefined;
  /** May be dropped for clients that are not ready to receive. Default false. */
  readonly volatile?: boolean | undefined;
}

export interface PublishOptions {
  /**
   * Names the publication: it is published once in 5 minutes to each room, however often that is tried. At most 128
   * characters. Absent: random; for the handler of a request it follows from the request, so that a second run repeats it.
   */
  readonly id?: string | undefined;
  /**
   * Connections (socket ids) that do not get it. Those of this node do not get it either when they come back as the same
   * device of the same user and recover what they missed.
   */
  readonly exclude?: string | readonly string[] | undefined;
  /** Milliseconds after which it is not recovered any more, at least 1. Default: as long as the room keeps it. */
  readonly ttlMs?: number | undefined;
  /** Live or never: may be dropped for clients that are not ready to receive, gets no position and is not kept. Default false. */
  readonly volatile?: boolean | undefined;
}

/** What a publication to several rooms got. */
export interface RoomsPublishReply {
  readonly id: string;
  /** By room; rooms without history are not in it. */
  readonly positions: Readonly<Record<string, Position>>;
}

export interface RoomPublisherDeps {
  readonly bus: Pick<ClusterBus, 'publish'>;
  readonly log: RoomLog;
  readonly queue: PublishQueue;
  /** What a room keeps: `'stored'` where no policy is known, see `NewPublication`. */
  readonly policies: { retentionOf(room: string): Retention | 'stored' | undefined };
  readonly registry: Pick<RoomRegistry, 'find' | 'has'>;
  readonly broadcast: Pick<RoomBroadcast, 'deliver'>;
  readonly clock: Clock;
  readonly metrics: Pick<RealtimeMetrics, 'published' | 'dropped'>;
  readonly nodeId: string;
}

/** Who publishes under which name, and what of it is to be said. */
interface Publisher {
  /** Ids of one do not meet those of another. */
  readonly scope: string;
  readonly id: string;
  /** Principal, for what a client publishes. */
  readonly publisher?: string;
  /** The id was made up here: nobody else can repeat it. */
  readonly isRandom?: boolean;
  /** A repeat may say something else: the first has been published, and stands. */
  readonly mayDiffer?: boolean;
}

interface Draft {
  readonly event: string;
  readonly data: unknown;
  readonly encoded: EncodedData;
  readonly header: PublicationHeader | undefined;
  readonly options: PublishOptions;
}

/** Publishers of ids that server code gave, and of those that follow from a request; clients have a colon in theirs. */
const SERVER = 'server';
const REQUESTS = 'requests';
/** Milliseconds in which a random id is known: more than any try of ours takes on its way. */
const OWN_WINDOW_MS = 60_000;

/**
 * How messages leave this node for rooms: checked, encoded once, and handed to the log (rooms with history, and whatever
 * has a name), or straight to the room's channel. Refuses nothing that a policy would: that is asked before.
 */
export class RoomPublisher {
  constructor(private readonly deps: RoomPublisherDeps) {}

  /** As `RoomManager.publish` says. */
  async publish(
    rooms: unknown,
    event: unknown,
    data: unknown,
    options: PublishOptions = {},
  ): Promise<RoomsPublishReply> {
    const targets = checkRooms(rooms);
    const draft = this.draft(event, data, options);
    const publisher = nameOf(targets, options.id);
    const outcomes = await Promise.all(targets.map((room) => this.sendTo(room, draft, publisher)));
    this.judge(outcomes, publisher);
    const positions = targets.flatMap((room, index) => {
      const position = outcomes[index]?.position;
      return position ? [[room, position] as const] : [];
    });
    return { id: publisher.id, positions: Object.fromEntries(positions) };
  }

  /** To one room: most publications, so nothing is made for lists. */
  async publishTo(room: string, event: unknown, data: unknown, options: PublishOptions = {}): Promise<PublishReply> {
    const targets = [checkRoom(room)];
    const draft = this.draft(event, data, options);
    return this.sendOne(room, draft, nameOf(targets, options.id));
  }

  /** For a client; `publisher` is its principal, and members are told. Its ids do not meet those of others. */
  async publishAs(
    publisher: string,
    room: string,
    message: { readonly event: string; readonly data: unknown; readonly id?: string | undefined },
  ): Promise<PublishReply> {
    const { id } = message;
    const draft = this.draft(message.event, message.data, {});
    const scope = `user:${publisher}`;
    const name = id === undefined ? { id: randomId(), isRandom: true } : { id };
    return this.sendOne(checkRoom(room), draft, { scope, publisher, ...name });
  }

  /** As `RoomManager.emit` says. */
  emit(rooms: unknown, event: unknown, data: unknown, options: EmitOptions = {}): void {
    const targets = checkRooms(rooms);
    const draft = this.draft(event, data, options);
    const header = { ...draft.header, n: this.deps.nodeId };
    for (const room of targets) {
      const payload = toPayload(encodeRoomMessage({ ...draft, room, header }, draft.encoded));
      const message = this.deps.registry.has(room) ? decodeRoomMessage(payload) : undefined;
      if (message) this.deps.broadcast.deliver(room, message);
      this.deps.bus.publish(roomChannel(room), payload).catch(() => this.deps.metrics.dropped('emit'));
    }
  }

  private draft(event: unknown, data: unknown, options: PublishOptions): Draft {
    const name = checkEvent(event);
    const x = checkExclude(options.exclude);
    const { ttlMs } = options;
    if (ttlMs !== undefined) checkWhole('ttlMs', ttlMs, { least: 1, most: Number.MAX_SAFE_INTEGER });
    const d = x?.flatMap((id) => {
      const member = this.deps.registry.find(id);
      return member ? [[member.principal.id, member.device] as const] : [];
    });
    const header = {
      ...(x && { x }),
      ...(d && d.length > 0 && { d }),
      ...(options.volatile === true && { v: 1 as const }),
      ...(ttlMs !== undefined && { t: Math.ceil(this.deps.clock.unixNow() + ttlMs) }),
    };
    try {
      const isPlain = Object.keys(header).length === 0;
      return { event: name, data, encoded: encodeData(data), header: isPlain ? undefined : header, options };
    } catch (cause) {
      throw new RealtimeError('BAD_REQUEST', 'data must be JSON, with at most 10 binary values', { cause });
    }
  }

  private async sendOne(room: string, draft: Draft, publisher: Publisher): Promise<PublishReply> {
    const outcome = await this.sendTo(room, draft, publisher);
    this.judge([outcome], publisher);
    return { id: publisher.id, ...outcome.position };
  }

  private judge(outcomes: readonly PublishOutcome[], publisher: Publisher): void {
    if (publisher.mayDiffer !== true && outcomes.some(({ status }) => status === 'conflict')) {
      throw new RealtimeError('BAD_REQUEST', 'this id names another publication');
    }
    if (outcomes.some(({ status }) => status === 'published')) this.deps.metrics.published();
  }

  private async sendTo(room: string, draft: Draft, by: Publisher): Promise<PublishOutcome> {
    const { bus, log, queue, policies } = this.deps;
    const { scope, id, publisher, isRandom } = by;
    // No `...rest` of the draft: V8 makes such objects in a way that outlives scavenges, and the heap fills with them.
    const { event, data, encoded, header, options } = draft;
    const text = encodeRoomMessage({ room, event, data, id, publisher, header }, encoded);
    const isVolatile = options.volatile === true;
    const retention = isVolatile ? undefined : policies.retentionOf(room);
    try {
      if (!retention && isRandom) {
        await bus.publish(roomChannel(room), toPayload(text));
        return { status: 'published' };
      }
      const windowMs = isRandom ? OWN_WINDOW_MS : undefined;
      const publication = { room, publisher: scope, id, text, retention, expiresInMs: options.ttlMs, windowMs };
      return await (isVolatile ? log.publish(publication) : queue.publish(publication));
    } catch (error) {
      throw honest(error, isRandom === true);
    }
  }
}

function nameOf(targets: readonly string[], id: string | undefined): Publisher {
  if (id !== undefined) return { scope: SERVER, id: checkText('id', id) };
  const derived = nextPublicationId(targets);
  if (derived !== undefined) return { scope: REQUESTS, id: derived, mayDiffer: true };
  return { scope: SERVER, id: randomId(), isRandom: true };
}

/** `UNAVAILABLE` says that nobody got it; what is named may be tried again all the same. */
function honest(error: unknown, isRandom: boolean): Error {
  const isUnknown = error instanceof RealtimeError && (error.code === 'UNKNOWN' || mayBeWritten(error));
  return isUnknown ? new RealtimeError('UNKNOWN', undefined, { retryable: !isRandom, cause: error }) : (error as Error);
}
