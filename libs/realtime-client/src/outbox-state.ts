import { MIN_PAUSE_MS, serverDelayMs } from './backoff.js';
import { NOT_CONNECTED, wireError } from './client-error.js';
import type {
  OutboxEffect,
  OutboxEntry,
  OutboxEvent,
  OutboxLink,
  OutboxState,
  OutboxTransition,
  Outcome,
} from './outbox-entry.js';

// What waits to be sent, and what waits for its answer: a pure reducer. outbox.ts carries out the effects.
// It refuses to know sockets, promises and storage.
// Invariant: an entry is settled exactly once, and leaves the list with it; a lane has at most one entry in flight.

/** What was first sent longer ago is not sent again: the server's memory of it (5 min) may be over. */
const RESEND_WITHIN_MS = 240_000;
/** The same as a part of the server's window: a server that remembers for less is asked for less. */
const RESEND_SHARE = 0.8;
/** Requests in flight at once: one of each lane. */
const MAX_IN_FLIGHT = 32;
/** Until a publication is tried again whose room is being joined. */
const EARLY_PAUSE_MS = 500;
/** What sits around the payload on the wire: packet type, namespace, event name, id of the request. */
const FRAME_BYTES = 512;

const UNKNOWN = { error: wireError('UNKNOWN', 'May or may not have happened') };

/** What becomes of an entry: other fields, its end, or nothing. */
type Verdict = Partial<OutboxEntry> | Outcome | undefined;

export function emptyOutbox(limits: OutboxState['limits'], principal: string | undefined): OutboxState {
  return { entries: [], link: undefined, principal, tokens: 0, tokensAt: 0, limits };
}

export function reduceOutbox(state: OutboxState, event: OutboxEvent, now: number): OutboxTransition {
  return new Step(state, now).take(event);
}

/** Stored by another user, or nobody knows yet who is here: it waits, unseen, until it is too old. */
export function isForeign(state: Pick<OutboxState, 'principal'>, { isRestored, principal }: OutboxEntry): boolean {
  return isRestored === true && principal !== state.principal;
}

/** One transition: everything it changes is its own copy. */
class Step {
  readonly #state: { -readonly [Key in keyof OutboxState]: OutboxState[Key] };
  readonly #now: number;
  readonly #effects: OutboxEffect[] = [];
  #wakeAt = Infinity;

  constructor(before: OutboxState, now: number) {
    const { link, tokens, tokensAt } = before;
    const { burst, messagesPerSecond } = link?.limits ?? { burst: tokens, messagesPerSecond: 0 };
    const refilled = Math.min(burst, tokens + ((now - tokensAt) / 1_000) * messagesPerSecond);
    this.#state = { ...before, tokens: refilled, tokensAt: now };
    this.#now = now;
  }

  take(event: OutboxEvent): OutboxTransition {
    this.#apply(event);
    this.#each((entry) => this.#expire(entry));
    if (this.#state.link) this.#send(this.#state.link);
    this.#each(({ offline, isInFlight }) =>
      offline === 'drop' && !isInFlight ? fails('DROPPED', 'Not sent at once', true) : undefined,
    );
    return {
      state: this.#state,
      effects: this.#effects,
      wakeAt: this.#wakeAt === Infinity ? undefined : this.#wakeAt,
    };
  }

  #apply(event: OutboxEvent): void {
    const state = this.#state;
    switch (event.type) {
      case 'add':
        return this.#add(event.entry);
      case 'restore':
        // What was stored is older than what was added meanwhile.
        state.entries = [...event.entries, ...state.entries];
        return;
      case 'identified':
        state.principal = event.principal;
        return this.#each((entry) => identified(entry, event.principal));
      case 'opened':
        state.link = event.link;
        state.tokens = event.link.limits.burst;
        return;
      case 'lost':
        state.link = undefined;
        return this.#each(loosened);
      case 'ended':
        state.link = undefined;
        return this.#each((entry) => (isForeign(state, entry) ? undefined : unsent(entry, { error: event.error })));
      case 'answered':
        return this.#each((entry) =>
          entry.id === event.id && entry.isInFlight ? this.#answered(entry, event) : undefined,
        );
      case 'aborted':
        return this.#each(({ id }) => (id === event.id ? fails('ABORTED', 'ABORTED') : undefined));
      case 'spent':
        state.tokens -= 1;
        return;
      case 'tick':
        return;
      default:
        return event satisfies never;
    }
  }

  #add(entry: OutboxEntry): void {
    const { entries, link, limits, principal } = this.#state;
    this.#state.entries = [...entries, entry.principal === undefined ? { ...entry, principal } : entry];
    const bytes = entries.reduce((sum, one) => sum + one.bytes, entry.bytes);
    const isFull = entries.length >= limits.maxCount || bytes > limits.maxBytes;
    this.#each(({ id }) => {
      if (id !== entry.id) return undefined;
      if (!link && entry.offline === 'reject') return { error: NOT_CONNECTED };
      return isFull ? fails('LIMIT_EXCEEDED', 'The outbox is full', true) : undefined;
    });
  }

  #answered(entry: OutboxEntry, { error, answer, isEarly }: Extract<OutboxEvent, { type: 'answered' }>): Verdict {
    // Refused before it happened, and we know when to ask again: what waits in a queue goes on waiting.
    const advice: Record<string, unknown> = { RATE_LIMITED: error?.retryAfterMs, FORBIDDEN: isEarly && EARLY_PAUSE_MS };
    const notBefore = this.#now + Math.max(serverDelayMs(advice[error?.code ?? '']) ?? Infinity, MIN_PAUSE_MS);
    // This try does not count. What became of an earlier one nobody knows, and the time to ask for it goes on.
    if (entry.offline === 'queue' && notBefore < entry.deadlineAt)
      return { isInFlight: false, notBefore, attempt: entry.attempt - 1 };
    return error ? { error } : { answer };
  }

  #expire(entry: OutboxEntry): Verdict {
    const { deadlineAt, attempt, isInFlight } = entry;
    const resendUntil = this.#resendUntil(entry);
    if (this.#now >= deadlineAt) {
      if (attempt === 0) return fails('UNAVAILABLE', 'Not sent in time', true);
      return isInFlight ? fails('TIMEOUT', 'The deadline passed', true) : UNKNOWN;
    }
    if (this.#now > resendUntil) return UNKNOWN;
    this.#wake(Math.min(deadlineAt, resendUntil + 1));
    return undefined;
  }

  /** Infinity for what was never sent, and while an answer may still come. */
  #resendUntil({ attempt, isIdempotent, isInFlight, firstSentAt = 0 }: OutboxEntry): number {
    if (attempt === 0 || isInFlight) return Infinity;
    const { link } = this.#state;
    const windowMs = link ? link.requestWindowMs * RESEND_SHARE : RESEND_WITHIN_MS;
    // A clock that was set back says nothing about how long ago that was.
    if (!isIdempotent || windowMs <= 0 || firstSentAt > this.#now) return -Infinity;
    return firstSentAt + Math.min(RESEND_WITHIN_MS, windowMs);
  }

  /** In one pass: the first of each lane, as long as the server's limits allow. */
  #send({ limits: { maxPayloadBytes, messagesPerSecond }, requestWindowMs }: OutboxLink): void {
    const state = this.#state;
    // What has no lane is in one of its own.
    const laneOf = ({ lane, id }: OutboxEntry): string => lane ?? id;
    const busy = new Set(state.entries.filter(({ isInFlight }) => isInFlight).map(laneOf));
    let inFlight = busy.size;
    this.#each((entry) => {
      // The server would end the connection for it, and again after each resend.
      if (entry.bytes > maxPayloadBytes - FRAME_BYTES) return fails('LIMIT_EXCEEDED', 'Too large for the server');
      const lane = laneOf(entry);
      if (isForeign(state, entry) || busy.has(lane)) return undefined;
      busy.add(lane);
      const { notBefore = 0 } = entry;
      if (inFlight >= MAX_IN_FLIGHT) return undefined;
      if (this.#now < notBefore) return this.#wake(notBefore);
      if (state.tokens < 1) return this.#wake(this.#now + Math.ceil(((1 - state.tokens) / messagesPerSecond) * 1_000));
      inFlight += 1;
      state.tokens -= 1;
      return this.#transmit(entry, requestWindowMs > 0);
    });
  }

  #transmit(entry: OutboxEntry, isServerRemembering: boolean): OutboxEntry {
    const sent: OutboxEntry = {
      ...entry,
      isInFlight: true,
      attempt: entry.attempt + 1,
      firstSentAt: (entry.attempt && entry.firstSentAt) || this.#now,
      isRemembered: entry.isIdempotent && isServerRemembering,
    };
    this.#effects.push({ type: 'send', entry: sent });
    return sent;
  }

  /** What is settled is out of the list before anything else happens, so it is settled once. */
  #each(decide: (entry: OutboxEntry) => Verdict): void {
    this.#state.entries = this.#state.entries.flatMap((entry) => {
      const verdict = decide(entry);
      if (!verdict) return [entry];
      if (!('error' in verdict || 'answer' in verdict)) return [{ ...entry, ...verdict }];
      // Nobody here asked for another user's.
      if (!isForeign(this.#state, entry)) this.#effects.push({ type: 'settle', entry, outcome: verdict });
      return [];
    });
  }

  #wake(at: number): undefined {
    this.#wakeAt = Math.min(this.#wakeAt, at);
  }
}

function fails(code: string, message: string, retryable?: boolean): Outcome {
  return { error: wireError(code, message, retryable) };
}

/** If it is another user now, what waits is not theirs: it is not sent in their name. */
function identified(entry: OutboxEntry, principal: string): Verdict {
  if (entry.isRestored || entry.principal === principal) return undefined;
  if (entry.principal === undefined) return { principal };
  return unsent(entry, fails('OTHER_PRINCIPAL', 'Another user may be signed in'));
}

function loosened(entry: OutboxEntry): Verdict {
  const isWaiting = entry.offline === 'queue';
  if (!entry.isInFlight) return isWaiting ? undefined : unsent(entry, { error: NOT_CONNECTED });
  return entry.isRemembered && isWaiting ? { isInFlight: false } : UNKNOWN;
}

/** The outcome of what certainly did not happen; nobody knows that of what was sent before. */
function unsent(entry: OutboxEntry, outcome: Outcome): Outcome {
  return entry.attempt > 0 ? UNKNOWN : outcome;
}
