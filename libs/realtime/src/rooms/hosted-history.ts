import type { Position, RoomStatus } from 'nestjs-realtime-protocol';
import type { Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import {
  follow,
  openingState,
  type ContinuityEffect,
  type ContinuityEvent,
  type ContinuityState,
} from '../history/continuity.js';
import type { RecentPublications } from '../history/recent-publications.js';
import {
  MAX_RECOVERED,
  MAX_RECOVERED_BYTES,
  type LogRead,
  type LogState,
  type Retention,
  type RoomLog,
} from '../history/room-log.js';
import { Pause, backoffMs } from '../presence/backoff.js';
import type { RoomMember } from './room-member.js';
import { isUserRoom } from './user-rooms.js';
import { RoomRecovery, decodeRead, type NumberedMessage, type Recovery, type Wanted } from './room-recovery.js';

/** Shared by all rooms: there is one for each user. */
export interface HostedHistoryDeps {
  readonly log: Pick<RoomLog, 'read' | 'states'>;
  readonly clock: Clock;
  readonly metrics: Pick<RealtimeMetrics, 'dropped' | 'gap'>;
  readonly recent: RecentPublications<NumberedMessage>;
  /** To the room's members on this node. */
  readonly deliver: (room: string, message: NumberedMessage) => void;
  readonly tell: (status: RoomStatus) => void;
}

/** Milliseconds a publication may take from the log to us, before the position check takes it for lost. */
const IN_FLIGHT_MS = 1_000;
/** Milliseconds between two looks at the log for positions that nobody here understands: they may be made up. */
const LOOK_AGAIN_MS = 1_000;
/** Epochs remembered as unknown. */
const MAX_FOREIGN = 100;
/** Milliseconds that a join waits for a room that is being repaired. */
const SETTLE_WITHIN_MS = 5_000;

/** Most rooms are users' own, in which nothing happens: they share their beginning and own nothing yet. */
const OPENING = openingState<NumberedMessage>();

/**
 * The history of one room that this node hosts: does what `follow` decides – deliver, read, tell – and says where the room
 * stands. Never lets go of a room: what cannot be read is read again, with growing pauses.
 * Invariant: what `recover` gives and what is delivered afterwards is one sequence without a hole, nothing in it twice.
 */
export class HostedHistory {
  private state: ContinuityState<NumberedMessage> = OPENING;
  private recovery: RoomRecovery | undefined;
  /** The log was asked where it stands. */
  private isOpen = false;
  private opening: Promise<void> | undefined;
  private looking: Promise<void> | undefined;
  private lookedAt = -Infinity;
  private whenLive: Set<() => void> | undefined;
  private pause: Pause | undefined;
  /** Epochs that clients named and the log did not know in its present one: they are not asked for again. */
  private foreign: Set<string> | undefined;
  /** Published before the room was first looked at, and perhaps still on its way to members who were here before. */
  private late: { readonly upTo: Position; readonly except: string[] } | undefined;

  constructor(
    private readonly room: string,
    readonly retention: Retention,
    private readonly deps: HostedHistoryDeps,
  ) {}

  /** Undefined: nothing was heard or read yet. */
  get position(): Position | undefined {
    return this.state.position;
  }

  /** Once the channel is subscribed: finds out where the log stands. Rejects as the log does; may then be called again. */
  open(): Promise<void> {
    if (this.isOpen) return Promise.resolve();
    this.opening ??= this.look()
      .then(() => void (this.isOpen = true))
      .finally(() => (this.opening = undefined));
    return this.opening;
  }

  onMessage(message: NumberedMessage): void {
    const { epoch, offset } = message.position;
    const { late } = this;
    if (late && epoch === late.upTo.epoch && offset <= late.upTo.offset) this.deliverLate(message, late.except);
    else this.apply({ type: 'message', message });
  }

  /** Compares with what the log said of itself. `isLate`: whatever it speaks of should have arrived by now. */
  check(log: LogState, options: { readonly isLate: boolean }): void {
    const { position } = this.state;
    if (!position) return;
    // The log answers again: a read that waits for its next try need not wait.
    if (options.isLate) this.pause?.skip();
    if (log.epoch === position.epoch) this.recovery?.trim(Math.min(log.start, position.offset));
    if (options.isLate || log.epoch !== position.epoch) this.apply({ type: 'state', log });
    else if (log.offset > position.offset)
      this.deps.clock.after(IN_FLIGHT_MS, () => this.apply({ type: 'state', log }));
  }

  /** One entry was erased, or all: who comes back does not get them from memory either. */
  onErased(offset: number | undefined): void {
    this.recovery?.erase(offset);
  }

  /**
   * Before a member is let in: what `recover` will need is here, until the returned function is called. All who come
   * together share the reads. Rejects as the log does.
   */
  async prepare(wanted: Wanted): Promise<() => void> {
    await this.open();
    const { recovery } = this;
    if (!recovery) throw new RealtimeError('UNAVAILABLE');
    const unpin = recovery.pin();
    try {
      if (wanted.position) await this.learn(wanted.position);
      await recovery.load(wanted);
      return unpin;
    } catch (error) {
      unpin();
      throw error;
    }
  }

  /** All that the member missed, or none. Synchronous: to be called in the turn that lets the member in, and answers it. */
  recover(wanted: Wanted, member: RoomMember): Recovery | undefined {
    const recovery = this.recovery?.recover(wanted, member);
    if (recovery?.recovered) this.late?.except.push(member.link.id);
    return recovery;
  }

  close(): void {
    this.apply({ type: 'close' });
    this.pause?.end();
    this.recovery?.close();
  }

  private apply(event: ContinuityEvent<NumberedMessage>): void {
    const { state, effects } = follow(this.state, event);
    if (state.position?.epoch !== this.state.position?.epoch) this.foreign = undefined;
    this.state = state;
    if (!this.recovery && state.position) this.begin(state.position, event.type === 'message');
    for (const effect of effects) this.carryOut(effect);
    if (state.phase === 'fetching') return;
    for (const resolve of this.whenLive ?? []) resolve();
    this.whenLive = undefined;
  }

  private begin({ offset }: Position, isHeard: boolean): void {
    const standing = () => ({ position: this.state.position as Position, forks: this.state.forks });
    this.recovery = new RoomRecovery(
      { ...this.deps, room: this.room, retention: this.retention, standing },
      isHeard ? offset - 1 : offset,
    );
  }

  private carryOut(effect: ContinuityEffect<NumberedMessage>): void {
    const { room } = this;
    const { metrics } = this.deps;
    switch (effect.type) {
      case 'deliver':
        this.recovery?.add(effect.messages);
        return effect.messages.forEach((message) => this.deps.deliver(room, message));
      case 'gap':
        metrics.gap('told');
        this.recovery?.interrupt(effect.position.offset);
        return this.deps.tell({ room, status: 'gap', code: effect.code, position: effect.position });
      case 'read':
        return void this.fetch(effect.after, effect.attempt);
      case 'repaired':
        return metrics.gap('repaired');
      case 'drop':
        return metrics.dropped('history-unknown');
      default:
        return effect satisfies never;
    }
  }

  /** Never rejects: what cannot be read is read again after a pause. */
  private async fetch(after: number, attempt: number): Promise<void> {
    const { room, retention } = this;
    const { log, metrics } = this.deps;
    if (attempt > 0) await (this.pause ??= new Pause(this.deps.clock)).wait(backoffMs(attempt));
    if (this.state.phase === 'closed') return;
    let read: LogRead;
    try {
      read = await log.read(room, retention, { after, limit: MAX_RECOVERED, maxBytes: MAX_RECOVERED_BYTES });
    } catch {
      metrics.dropped('history-read');
      return this.apply({ type: 'failed' });
    }
    this.apply({ type: 'read', after, log: read, messages: decodeRead(read, metrics), hasMore: read.hasMore });
  }

  private async look(): Promise<void> {
    const { room, retention } = this;
    const { log, clock } = this.deps;
    const [state] = await log.states([{ room, retention }]);
    this.lookedAt = clock.now();
    if (!state) return;
    if (!this.position && isUserRoom(room)) this.expectLate(state);
    this.apply({ type: 'state', log: state });
  }

  /** Only the own rooms of users have members before anybody has asked where the room stands. */
  private expectLate({ epoch, offset }: LogState): void {
    this.late = { upTo: { epoch, offset }, except: [] };
    this.deps.clock.after(IN_FLIGHT_MS, () => (this.late = undefined));
  }

  /** Not to those whose answer had it. */
  private deliverLate(message: NumberedMessage, except: readonly string[]): void {
    const { header } = message;
    this.deps.deliver(this.room, { ...message, header: { ...header, x: [...(header.x ?? []), ...except] } });
  }

  /** A member may know more than this node; what it knows came from the log, so the log knows it, too. */
  private async learn(position: Position): Promise<void> {
    if (this.understands(position) || this.foreign?.has(position.epoch)) return;
    await this.lookAgain();
    if (this.understands(position) || position.epoch === this.position?.epoch) return;
    if (!this.foreign || this.foreign.size >= MAX_FOREIGN) this.foreign = new Set();
    this.foreign.add(position.epoch);
  }

  private lookAgain(): Promise<void> {
    this.looking ??= this.rest(this.lookedAt + LOOK_AGAIN_MS - this.deps.clock.now())
      .then(() => this.look())
      .then(() => this.settled())
      .finally(() => (this.looking = undefined));
    return this.looking;
  }

  private rest(delayMs: number): Promise<void> {
    if (delayMs <= 0) return Promise.resolve();
    return new Promise((resolve) => void this.deps.clock.after(delayMs, resolve));
  }

  private settled(): Promise<void> {
    if (this.state.phase !== 'fetching') return Promise.resolve();
    return new Promise((resolve, reject) => {
      const cancel = this.deps.clock.after(SETTLE_WITHIN_MS, () => {
        this.whenLive?.delete(done);
        reject(new RealtimeError('UNAVAILABLE', 'The room is being repaired'));
      });
      const done = (): void => {
        cancel();
        resolve();
      };
      this.whenLive = (this.whenLive ?? new Set()).add(done);
    });
  }

  /** Whether this can be a position of this log, as far as it is known here. */
  private understands({ epoch, offset }: Position): boolean {
    const { position, forks } = this.state;
    if (epoch === position?.epoch) return offset <= position.offset;
    return forks !== undefined && Object.hasOwn(forks, epoch);
  }
}
