import type { Cancel, Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { NewPublication, PublishOutcome, RoomLog } from '../history/room-log.js';
import { backoffMs } from '../presence/backoff.js';

export interface PublishQueueDeps {
  readonly log: Pick<RoomLog, 'publish'>;
  readonly clock: Clock;
  readonly metrics: Pick<RealtimeMetrics, 'dropped'>;
  /** Milliseconds after which a publication is not tried again. */
  readonly timeoutMs: number;
  /** Most publications of this node that are not settled, and most bytes of them; more are refused. */
  readonly maxPublications?: number | undefined;
  readonly maxBytes?: number | undefined;
}

const MAX_PUBLICATIONS = 10_000;
const MAX_BYTES = 67_108_864;
/** Between two tries: shorter than the deadline by far. */
const MAX_PAUSE_MS = 1_000;

interface Item {
  readonly publication: NewPublication;
  /** In the order of their calls. */
  readonly number: number;
  readonly dueAt: number;
  mayBeWritten: boolean;
  readonly settle: (result: { readonly outcome: PublishOutcome } | { readonly error: unknown }) => void;
}

interface RoomState {
  readonly name: string;
  inFlight: number;
  /** A try has failed: nothing leaves until the oldest got through. */
  isHeld: boolean;
  /** Not sent, or to be sent again; by number, which is by deadline too. */
  readonly waiting: Item[];
  /** Tries of the oldest since the room is held. */
  tries: number;
  cancelRetry: Cancel | undefined;
  cancelDeadline: Cancel | undefined;
}

/**
 * Publications on their way to the log: those of one room leave in the order of their calls, several at a time. When one
 * fails that may succeed later, it is tried again under its id, alone, and the later ones of its room wait behind it; those
 * that had left already cannot be called back. Invariant: a publication is settled when it was written, when it was refused
 * for good, or after `timeoutMs` and the end of the try that is under way then – and as `UNAVAILABLE` only if nobody will
 * ever get it.
 */
export class PublishQueue {
  private readonly rooms = new Map<string, RoomState>();
  private count = 0;
  private bytes = 0;
  private calls = 0;
  private isClosed = false;

  constructor(private readonly deps: PublishQueueDeps) {}

  /** Publications that are not settled. */
  get size(): number {
    return this.count;
  }

  /**
   * @throws RealtimeError `UNAVAILABLE` (retryable): it was not published, and will not be. `UNKNOWN`: it may have been.
   * Whatever else the log refuses it with.
   */
  publish(publication: NewPublication): Promise<PublishOutcome> {
    const { maxPublications = MAX_PUBLICATIONS, maxBytes = MAX_BYTES, clock, timeoutMs } = this.deps;
    const { length } = publication.text;
    if (this.isClosed) return Promise.reject(new RealtimeError('UNAVAILABLE'));
    if (this.count >= maxPublications || (this.count > 0 && this.bytes + length > maxBytes)) {
      this.deps.metrics.dropped('publish-queue-full');
      return Promise.reject(new RealtimeError('UNAVAILABLE', 'Too many publications wait for Redis'));
    }
    this.count += 1;
    this.bytes += length;
    return new Promise((resolve, reject) => {
      this.enter({
        ...{ publication, number: (this.calls += 1), dueAt: clock.now() + timeoutMs, mayBeWritten: false },
        settle: (result) => {
          this.count -= 1;
          this.bytes -= length;
          if ('outcome' in result) resolve(result.outcome);
          else reject(result.error instanceof Error ? result.error : new Error(String(result.error)));
        },
      });
    });
  }

  /** Refuses what waits, and tries nothing again: what is under way is settled by its answer. */
  close(): void {
    this.isClosed = true;
    for (const room of this.rooms.values()) {
      for (const item of room.waiting.splice(0)) this.giveUp(item);
      this.goOn(room);
    }
  }

  private enter(item: Item): void {
    const { room: name } = item.publication;
    const room = this.rooms.get(name) ?? newRoom(name);
    this.rooms.set(name, room);
    if (!room.isHeld) return this.send(room, item);
    room.waiting.push(item);
    this.watchDeadline(room);
  }

  private send(room: RoomState, item: Item): void {
    const isTrial = room.isHeld;
    room.inFlight += 1;
    this.deps.log.publish(item.publication).then(
      (outcome) => {
        room.inFlight -= 1;
        if (isTrial) release(room);
        item.settle({ outcome });
        this.goOn(room);
      },
      (error: unknown) => {
        room.inFlight -= 1;
        if (isTransient(error)) {
          this.hold(room, item, mayBeWritten(error));
        } else {
          if (isTrial) release(room);
          item.settle({ error });
        }
        this.goOn(room);
      },
    );
  }

  private hold(room: RoomState, item: Item, mayBe: boolean): void {
    item.mayBeWritten ||= mayBe;
    room.isHeld = true;
    if (this.isClosed || this.deps.clock.now() >= item.dueAt) return this.giveUp(item);
    const before = room.waiting.findLastIndex(({ number }) => number < item.number);
    room.waiting.splice(before + 1, 0, item);
    this.watchDeadline(room);
  }

  /** While held, the oldest is tried alone, once everything that was under way is back; then all others follow. */
  private goOn(room: RoomState): void {
    if (!room.isHeld) for (const item of room.waiting.splice(0)) this.send(room, item);
    if (room.inFlight > 0) return;
    if (room.waiting.length === 0) return this.forget(room);
    if (room.cancelRetry) return;
    const pauseMs = Math.min(backoffMs(room.tries), MAX_PAUSE_MS);
    room.tries += 1;
    room.cancelRetry = this.deps.clock.after(pauseMs, () => {
      room.cancelRetry = undefined;
      const oldest = room.waiting.shift();
      if (oldest) this.send(room, oldest);
    });
  }

  private watchDeadline(room: RoomState): void {
    const [oldest] = room.waiting;
    if (!oldest || room.cancelDeadline) return;
    const { clock } = this.deps;
    room.cancelDeadline = clock.after(oldest.dueAt - clock.now(), () => {
      room.cancelDeadline = undefined;
      const alive = room.waiting.findIndex(({ dueAt }) => dueAt > clock.now());
      for (const item of room.waiting.splice(0, alive === -1 ? room.waiting.length : alive)) this.giveUp(item);
      this.watchDeadline(room);
      this.goOn(room);
    });
  }

  private giveUp({ mayBeWritten: isUnknown, settle }: Item): void {
    if (isUnknown) this.deps.metrics.dropped('publish-unknown');
    else this.deps.metrics.dropped('publish-unavailable');
    settle({ error: new RealtimeError(isUnknown ? 'UNKNOWN' : 'UNAVAILABLE') });
  }

  private forget(room: RoomState): void {
    room.cancelRetry?.();
    room.cancelDeadline?.();
    this.rooms.delete(room.name);
  }
}

function newRoom(name: string): RoomState {
  return {
    ...{ name, inFlight: 0, isHeld: false, waiting: [], tries: 0 },
    ...{ cancelRetry: undefined, cancelDeadline: undefined },
  };
}

function release(room: RoomState): void {
  room.isHeld = false;
  room.tries = 0;
}

/** Of a failed command; a storage that does not say so has not written. */
export function mayBeWritten(error: unknown): boolean {
  return error instanceof RealtimeError && (error as { maybeWritten?: unknown }).maybeWritten === true;
}

function isTransient(error: unknown): boolean {
  return error instanceof RealtimeError && error.code === 'UNAVAILABLE';
}
