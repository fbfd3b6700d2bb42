import type { WireError } from 'nestjs-realtime-protocol';
import { serverDelayMs } from './backoff.js';
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
/** What sits around the payload on the wire: packet type, namespace, event name, id of the request. */
const FRAME_BYTES = 512;
/** Least wait after a refusal for speed, so that a wrong `retryAfterMs` of 0 is no hot loop. */
const MIN_PAUSE_MS = 100;

const wire = (code: string, message: string, retryable = false): WireError => ({ code, message, retryable });
const UNKNOWN = wire('UNKNOWN', 'It may or may not have happened');
const NOT_CONNECTED = wire('UNAVAILABLE', 'Not connected', true);

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
  #entries: OutboxEntry[];
  #link: OutboxLink | undefined;
  principal: string | undefined;
  #tokens: number;
  readonly #now: number;
  readonly #limits: OutboxState['limits'];
  readonly #effects: OutboxEffect[] = [];
  #wakeAt = Infinity;

  constructor(before: OutboxState, now: number) {
    this.#now = now;
    this.#limits = before.limits;
    const { entries, link, principal, tokens, tokensAt } = before;
    this.#entries = [...entries];
    this.#link = link;
    this.principal = principal;
    this.#tokens = link
      ? Math.min(link.limits.burst, tokens + ((now - tokensAt) / 1_000) * link.limits.messagesPerSecond)
      : tokens;
  }

  take(event: OutboxEvent): OutboxTransition {
    this.#apply(event);
    this.#expire();
    if (this.#link) this.#send(this.#link);
    for (const entry of [...this.#entries])
      if (entry.offline === 'drop' && !entry.isInFlight)
        this.#settle(entry, { error: wire('DROPPED', 'Not sent at once', true) });
    return {
      state: {
        entries: this.#entries,
        link: this.#link,
        principal: this.principal,
        tokens: this.#tokens,
        tokensAt: this.#now,
        limits: this.#limits,
      },
      effects: this.#effects,
      wakeAt: this.#wakeAt === Infinity ? undefined : this.#wakeAt,
    };
  }

  #apply(event: OutboxEvent): void {
    switch (event.type) {
      case 'add':
        return this.#add(event.entry);
      case 'restore':
        // What was stored is older than what was added meanwhile.
        this.#entries = [...event.entries, ...this.#entries];
        return;
      case 'identified':
        return this.#identify(event.principal);
      case 'opened':
        this.#link = event.link;
        this.#tokens = event.link.limits.burst;
        return;
      case 'lost':
        this.#link = undefined;
        return [...this.#entries].forEach((entry) => this.#loosen(entry));
      case 'ended':
        this.#link = undefined;
        for (const entry of [...this.#entries])
          if (!isForeign(this, entry)) this.#settle(entry, { error: entry.attempt > 0 ? UNKNOWN : event.error });
        return;
      case 'answered':
        return this.#answered(event);
      case 'aborted': {
        const entry = this.#find(event.id);
        if (entry) this.#settle(entry, { error: wire('ABORTED', 'ABORTED') });
        return;
      }
      case 'spent':
        this.#tokens -= 1;
        return;
      case 'tick':
        return;
      default:
        return event satisfies never;
    }
  }

  #add(entry: OutboxEntry): void {
    const { maxCount, maxBytes } = this.#limits;
    const bytes = this.#entries.reduce((sum, one) => sum + one.bytes, entry.bytes);
    this.#entries.push(entry.principal === undefined ? { ...entry, principal: this.principal } : entry);
    if (!this.#link && entry.offline === 'reject') this.#settle(entry, { error: NOT_CONNECTED });
    else if (this.#entries.length > maxCount || bytes > maxBytes)
      this.#settle(entry, { error: wire('LIMIT_EXCEEDED', 'The outbox is full', true) });
  }

  /** If it is another user now, what waits is not theirs: it is not sent in their name. */
  #identify(principal: string | undefined): void {
    this.principal = principal;
    for (const entry of [...this.#entries]) {
      if (entry.isRestored || entry.principal === principal) continue;
      if (entry.principal === undefined) this.#change(entry, { principal });
      else if (entry.attempt > 0) this.#settle(entry, { error: UNKNOWN });
      else this.#settle(entry, { error: wire('OTHER_PRINCIPAL', 'Another user is signed in') });
    }
  }

  #loosen(entry: OutboxEntry): void {
    const isWaiting = entry.offline === 'queue';
    if (!entry.isInFlight) {
      if (!isWaiting) this.#settle(entry, { error: entry.attempt > 0 ? UNKNOWN : NOT_CONNECTED });
    } else if (entry.isRemembered && isWaiting) this.#change(entry, { isInFlight: false });
    else this.#settle(entry, { error: UNKNOWN });
  }

  #answered({ id, error, answer }: Extract<OutboxEvent, { type: 'answered' }>): void {
    const entry = this.#find(id);
    if (!entry?.isInFlight) return;
    const waitMs = error?.code === 'RATE_LIMITED' ? serverDelayMs(error.retryAfterMs) : undefined;
    // Refused before it happened, and we know when to ask again: what waits in a queue goes on waiting.
    if (waitMs !== undefined && entry.offline === 'queue' && this.#now + waitMs < entry.deadlineAt)
      this.#change(entry, { isInFlight: false, notBefore: this.#now + Math.max(waitMs, MIN_PAUSE_MS) });
    else this.#settle(entry, error ? { error } : { answer });
  }

  #expire(): void {
    for (const entry of [...this.#entries]) {
      const resendUntil = this.#resendUntil(entry);
      if (this.#now >= entry.deadlineAt) this.#settle(entry, { error: tooLate(entry) });
      else if (this.#now > resendUntil) this.#settle(entry, { error: UNKNOWN });
      else this.#wake(Math.min(entry.deadlineAt, resendUntil + 1));
    }
  }

  /** Infinity for what was never sent, and while an answer may still come. */
  #resendUntil({ attempt, isIdempotent, isInFlight, firstSentAt = 0, notBefore }: OutboxEntry): number {
    // Refused and asked to come back: it did not happen, so no memory of the server is needed.
    if (attempt === 0 || isInFlight || notBefore !== undefined) return Infinity;
    const windowMs = this.#link ? this.#link.requestWindowMs * RESEND_SHARE : RESEND_WITHIN_MS;
    // A clock that was set back says nothing about how long ago that was.
    if (!isIdempotent || windowMs <= 0 || firstSentAt > this.#now) return -Infinity;
    return firstSentAt + Math.min(RESEND_WITHIN_MS, windowMs);
  }

  /** In one pass: the first of each lane, as long as the server's limits allow. */
  #send(link: OutboxLink): void {
    const { maxPayloadBytes, messagesPerSecond } = link.limits;
    // The server would end the connection for them, and again after each resend.
    for (const entry of this.#entries.filter(({ bytes }) => bytes > maxPayloadBytes - FRAME_BYTES))
      this.#settle(entry, { error: wire('LIMIT_EXCEEDED', 'Too large for the server') });
    const busy = new Set<string>();
    let inFlight = this.#entries.filter((entry) => entry.isInFlight).length;
    for (const [index, entry] of this.#entries.entries()) {
      if (isForeign(this, entry)) continue;
      const isBlocked = entry.lane !== undefined && busy.has(entry.lane);
      if (entry.lane !== undefined) busy.add(entry.lane);
      if (entry.isInFlight || isBlocked || inFlight >= MAX_IN_FLIGHT) continue;
      if (entry.notBefore !== undefined && this.#now < entry.notBefore) this.#wake(entry.notBefore);
      else if (this.#tokens < 1) this.#wake(this.#now + Math.ceil(((1 - this.#tokens) / messagesPerSecond) * 1_000));
      else {
        inFlight += 1;
        this.#transmit(index, entry, link);
      }
    }
  }

  #transmit(index: number, entry: OutboxEntry, link: OutboxLink): void {
    const { notBefore, ...rest } = entry;
    const sent: OutboxEntry = {
      ...rest,
      isInFlight: true,
      attempt: entry.attempt + 1,
      // After a refusal its history begins anew.
      firstSentAt: notBefore === undefined ? (entry.firstSentAt ?? this.#now) : this.#now,
      isRemembered: entry.isIdempotent && link.requestWindowMs > 0,
    };
    this.#tokens -= 1;
    this.#entries[index] = sent;
    this.#effects.push({ type: 'send', entry: sent });
  }

  #find(id: string): OutboxEntry | undefined {
    return this.#entries.find((entry) => entry.id === id);
  }

  #change(entry: OutboxEntry, change: Partial<OutboxEntry>): void {
    this.#entries = this.#entries.map((one) => (one.id === entry.id ? { ...one, ...change } : one));
  }

  #settle(entry: OutboxEntry, outcome: Outcome): void {
    this.#entries = this.#entries.filter(({ id }) => id !== entry.id);
    // Nobody here asked for another user's.
    if (!isForeign(this, entry)) this.#effects.push({ type: 'settle', entry, outcome });
  }

  #wake(at: number): void {
    this.#wakeAt = Math.min(this.#wakeAt, at);
  }
}

function tooLate(entry: OutboxEntry): WireError {
  if (entry.attempt === 0) return wire('UNAVAILABLE', 'Not sent in time', true);
  return entry.isInFlight ? wire('TIMEOUT', 'The deadline passed', true) : UNKNOWN;
}
