import { RealtimeClientError, errorOf, type ErrorLike } from './client-error.js';
import { steadyNow } from './clock.js';
import { Emitter, type Off } from './emitter.js';
import type { Debug } from './debug.js';
import type { OutboxOptions } from './options.js';
import type {
  OfflinePolicy,
  OutboxEffect,
  OutboxEntry,
  OutboxEvent,
  OutboxState,
  OutboxStore,
  Outcome,
  Stored,
} from './outbox-entry.js';
import { emptyOutbox, isForeign, reduceOutbox } from './outbox-state.js';
import { sizeOf } from './payload-size.js';
import { userOf } from './principal.js';
import { randomId } from './random-id.js';

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_AGE_MS = 86_400_000;
const LONGEST_TIMER_MS = 2_147_483_647;

export interface RequestOptions {
  /**
   * How long until it is settled, for the connection and the answer together. Default 10 000 ms; with `offline: 'queue'`
   * given, the outbox's `maxAgeMs`.
   */
  timeoutMs?: number;
  /** Ends the wait with `ABORTED`. What was sent already may happen all the same. */
  signal?: AbortSignal;
  /**
   * The request may be sent again when its answer got lost: it carries an id, and a server that remembers ids
   * (`hello.requestWindowMs`) answers a second one like the first. Default false: sent at most once.
   */
  idempotent?: boolean;
  /** Requests of one lane are sent in order, each after the answer of the one before. Default: `data.room`, else the event. `false`: no order. */
  lane?: string | false;
  /**
   * Without a connection: `queue` waits and goes on waiting when the connection is lost; `reject` ends with `UNAVAILABLE`;
   * `drop` ends with `DROPPED` also when it cannot be sent at once for another reason, and needs no `catch`. Default
   * `queue` for `timeoutMs`.
   */
  offline?: OfflinePolicy;
}

/** A request that is not settled yet. */
export interface PendingRequest {
  readonly id: string;
  readonly event: string;
  readonly data: unknown;
  /** Sent, and its answer may come; otherwise it waits for its turn or for the connection. */
  readonly isInFlight: boolean;
  /** From before a reload: its promise is gone, `settled` tells its end. */
  readonly isRestored: boolean;
}

export interface SettledRequest extends PendingRequest {
  readonly answer?: unknown;
  readonly error?: RealtimeClientError | undefined;
}

/** Whoever asked, and is told the end. */
type Waiter = (error: RealtimeClientError | undefined, answer: unknown) => void;

/**
 * Requests of the app, from `request()` to their end. The decisions are outbox-state.ts'; this keeps the promises, the one
 * timer and the storage. Invariant: what is settled is in no list and no storage any more.
 */
export class Outbox {
  #state: OutboxState;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #end: ErrorLike | undefined;
  readonly #waiters = new Map<string, Waiter>();
  readonly #emitter = new Emitter();
  readonly #store: ReturnType<OutboxStore> | undefined;
  readonly #maxAgeMs: number;
  /** @internal */
  device: string;
  /** Resolves when what was stored is here. @internal */
  readonly ready: Promise<void>;
  readonly #deps: { send(entry: OutboxEntry): void; wake(): void; debug: Debug };

  constructor(
    url: string,
    readonly options: OutboxOptions & { device?: string | undefined; principal?: string | undefined },
    deps: { send(entry: OutboxEntry): void; wake(): void; debug: Debug },
  ) {
    this.#deps = deps;
    const { maxCount = 1_000, maxBytes = 1_048_576, maxAgeMs = DEFAULT_MAX_AGE_MS, store } = options;
    this.#maxAgeMs = maxAgeMs;
    this.device = options.device ?? randomId();
    this.#state = emptyOutbox({ maxCount, maxBytes }, options.principal);
    const events = {
      restored: (stored: Stored, isFirst: boolean) => this.#restore(stored, isFirst),
      lost: (why: unknown) => {
        deps.debug('the outbox is in memory only', why);
        this.#emitter.emit(
          'notice',
          new RealtimeClientError('UNAVAILABLE', 'Not kept over a reload', { details: why }),
        );
      },
    };
    this.#store = store?.(url, events, deps.debug);
    this.ready = this.#store?.ready ?? Promise.resolve();
  }

  /** What is not settled yet, in the order in which it is sent. */
  get pending(): readonly PendingRequest[] {
    return this.#state.entries.filter((entry) => !isForeign(this.#state, entry)).map(shown);
  }

  /** `change`: `pending` is another list. `settled`: one has ended, also one that was restored. `notice`: the storage does not work; said once. */
  on(event: 'change', listener: (pending: readonly PendingRequest[]) => void): Off;
  on(event: 'settled', listener: (request: SettledRequest) => void): Off;
  on(event: 'notice', listener: (error: RealtimeClientError) => void): Off;
  on(event: string, listener: (...args: never[]) => void): Off {
    return this.#emitter.on(event, listener);
  }

  /** @internal */
  add(event: string, data: unknown, options: RequestOptions): Promise<unknown> {
    const { signal, offline = 'queue' } = options;
    const settled = new Promise<unknown>((resolve, reject) => {
      // What is thrown here rejects.
      if (this.#end) throw errorOf(this.#end);
      if (signal?.aborted) throw new RealtimeClientError('ABORTED');
      const entry = this.#entryOf(event, data, options);
      const abort = (): void => this.dispatch({ type: 'aborted', id: entry.id });
      signal?.addEventListener('abort', abort);
      this.#waiters.set(entry.id, (error, answer) => {
        signal?.removeEventListener('abort', abort);
        if (error) reject(error);
        else resolve(answer);
      });
      this.dispatch({ type: 'add', entry });
      if (offline === 'queue') this.#deps.wake();
    });
    if (offline === 'drop') settled.catch(() => undefined);
    return settled;
  }

  /** @internal */
  dispatch(event: OutboxEvent): void {
    if (event.type === 'ended') this.#end = event.error;
    else if (event.type === 'opened' || event.type === 'lost') this.#end = undefined;
    const before = this.#state;
    const { state, effects, wakeAt } = reduceOutbox(before, event, steadyNow());
    this.#state = state;
    clearTimeout(this.#timer);
    if (wakeAt !== undefined)
      this.#timer = setTimeout(
        () => this.dispatch({ type: 'tick' }),
        Math.min(Math.max(wakeAt - steadyNow(), 0), LONGEST_TIMER_MS),
      );
    // Stored as sent before it is sent.
    if (state.entries.length > 0 || before.entries.length > 0) this.#save();
    for (const effect of effects) this.#run(effect);
    if (effects.length > 0 || state.entries.length !== before.entries.length)
      this.#emitter.emit('change', this.pending);
  }

  /** @internal What is stored and not ours to settle stays stored. */
  close(): void {
    this.#store?.close();
    clearTimeout(this.#timer);
  }

  #entryOf(event: string, data: unknown, options: RequestOptions): OutboxEntry {
    const { timeoutMs, idempotent = false, lane, offline } = options;
    const { bytes, isBinary } = sizeOf(data);
    const room = (data as { room?: unknown } | null | undefined)?.room;
    const waitMs = timeoutMs ?? (offline === 'queue' ? this.#maxAgeMs : DEFAULT_TIMEOUT_MS);
    return {
      id: randomId(),
      event,
      data,
      lane: lane === false ? undefined : (lane ?? (typeof room === 'string' ? room : event)),
      offline: offline ?? 'queue',
      isIdempotent: idempotent,
      isKept: offline === 'queue' && !isBinary,
      bytes,
      deadlineAt: steadyNow() + Math.min(waitMs, this.#maxAgeMs),
      principal: this.#state.principal,
      attempt: 0,
    };
  }

  #run(effect: OutboxEffect): void {
    const { entry } = effect;
    this.#deps.debug(`outbox: ${effect.type}`, { id: entry.id, event: entry.event, attempt: entry.attempt });
    if (effect.type === 'send') this.#deps.send(entry);
    else this.#settle(entry, effect.outcome);
  }

  #settle(entry: OutboxEntry, outcome: Outcome): void {
    const { error: cause, answer }: { error?: ErrorLike; answer?: unknown } = outcome;
    const error = cause && errorOf(cause);
    const waiter = this.#waiters.get(entry.id);
    this.#waiters.delete(entry.id);
    waiter?.(error, answer);
    this.#emitter.emit('settled', { ...shown(entry), ...outcome, error } satisfies SettledRequest);
  }

  #save(): void {
    // Nobody's are not stored: a reload could not tell whose they are.
    const entries = this.#state.entries.filter(({ isKept, principal }) => isKept && userOf(principal));
    this.#store?.save({ device: this.device, entries });
  }

  #restore({ device, entries }: Stored, isFirst: boolean): void {
    // Requests that were sent are known to the server under the device that sent them.
    const isMine = isFirst && this.options.device === undefined;
    if (isMine) this.device = device;
    const mine = entries.map((entry) => (device === this.device ? entry : { ...entry, isIdempotent: false }));
    this.dispatch({ type: 'restore', entries: mine });
    if (this.pending.length > 0) this.#deps.wake();
  }
}

function shown({ id, event, data, isInFlight = false, isRestored = false }: OutboxEntry): PendingRequest {
  return { id, event, data, isInFlight, isRestored };
}
