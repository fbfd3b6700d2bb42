import { backoffMs, serverDelayMs } from './backoff.js';
import { NOT_CONNECTED, NO_ANSWER, type ErrorLike } from './client-error.js';

// When to connect, wait and give up: a pure reducer, so that every order of events can be tested without a network.
// It refuses to know sockets and timers (connection.ts carries out the effects).
// Invariant: at most one timer is armed, only while connecting (the deadline) or waiting (the next attempt).

/** An attempt - token, transport and the server's hello together - is given up after this. */
export const CONNECT_WITHIN_MS = 20_000;
/** A connection that ends sooner counts as one more failure: a server that closes at once is not asked in a hot loop. */
export const STABLE_AFTER_MS = 10_000;

export type ClientStatus = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed' | 'failed';

export interface ConnectionState {
  readonly status: ClientStatus;
  /** Failed attempts since the last connection that lasted 10 s. */
  readonly attempt: number;
  /** Why the connection was lost or refused the last time; absent while connected. */
  readonly error?: ErrorLike | undefined;
  /** In `waiting`: how long from the change of state until the next attempt. */
  readonly retryInMs?: number | undefined;
  /** The device says that it has no network. Retries go on: it may be wrong. */
  readonly isOffline?: boolean | undefined;
  /** In `waiting`: the server asked not to come before this time. */
  readonly notBefore?: number | undefined;
  readonly openedAt?: number | undefined;
  /** What the server said before the end: `realtime:bye`, or the delay of `realtime:drain`. */
  readonly notice?: { readonly error?: ErrorLike; readonly delayMs?: number | undefined } | undefined;
}

export type ConnectionEvent =
  | { type: 'connect' }
  /** Somebody needs a connection: as `connect`, but only for an idle client. */
  | { type: 'wake' }
  | { type: 'close' }
  /** The server has said hello. */
  | { type: 'opened' }
  | { type: 'notice'; error?: ErrorLike; delayMs?: number | undefined }
  /** Refused, failed or ended; `error.retryable` decides between `waiting` and `failed`, unless a notice did before. */
  | { type: 'lost'; error: ErrorLike }
  /** The timer fired. */
  | { type: 'due' }
  | { type: 'offline' }
  | { type: 'online' }
  /** The page is looked at again, or was woken up: its timers may be late. */
  | { type: 'visible' };

/**
 * `check`: is the connection alive? If the server was silent for too long, it is `lost`. `delayMs`: arm the timer; `cancel`:
 * disarm it.
 */
export type Effect = 'open' | 'drop' | 'cancel' | 'check' | { readonly delayMs: number };

export interface Transition {
  readonly state: ConnectionState;
  readonly effects: readonly Effect[];
}

export interface Moment {
  /** Milliseconds of a clock that never goes back. */
  readonly now: number;
  /** A number in [0, 1) for the jitter. */
  readonly random: number;
}

export const IDLE: ConnectionState = { status: 'idle', attempt: 0 };

export function reduce(state: ConnectionState, event: ConnectionEvent, at: Moment): Transition {
  const { status } = state;
  const isLive = status === 'connecting' || status === 'connected';
  const same: Transition = { state, effects: [] };
  switch (event.type) {
    case 'connect':
      return isLive ? same : attempt(state, status === 'waiting');
    case 'wake':
      return status === 'idle' ? attempt(state, false) : same;
    case 'due':
      if (status === 'connecting') return lost(state, NO_ANSWER, at, false);
      return status === 'waiting' ? attempt(state, false) : same;
    case 'opened':
      if (status !== 'connecting') return same;
      return { state: { ...base(state), status: 'connected', openedAt: at.now }, effects: ['cancel'] };
    case 'notice': {
      const { type: _, ...said } = event;
      return isLive ? { state: { ...state, notice: { ...state.notice, ...said } }, effects: [] } : same;
    }
    case 'lost':
      return isLive ? lost(state, event.error, at, status === 'connecting') : same;
    case 'offline': {
      const offline = { ...state, isOffline: true };
      // Engine.IO would notice by itself, but for localhost only after a heartbeat.
      return status === 'connected' ? lost(offline, OFFLINE, at, false) : { state: offline, effects: [] };
    }
    case 'online':
    case 'visible':
      return wokenUp(event.type === 'online' ? { ...state, isOffline: undefined } : state, at);
    case 'close': {
      if (status === 'closed') return same;
      const isArmed = status === 'connecting' || status === 'waiting';
      const effects: Effect[] = isArmed ? ['cancel', 'drop'] : ['drop'];
      return { state: { ...base(state), status: 'closed', attempt: 0 }, effects };
    }
    default:
      return event satisfies never;
  }
}

const OFFLINE: ErrorLike = { ...NOT_CONNECTED, code: 'OFFLINE' };

/** What outlives a change of status. */
function base({ attempt: failed, isOffline }: ConnectionState): Pick<ConnectionState, 'attempt' | 'isOffline'> {
  return { attempt: failed, isOffline };
}

function attempt(state: ConnectionState, isArmed: boolean): Transition {
  const isRetry = state.status === 'waiting';
  return {
    state: { ...base(state), status: 'connecting', ...(isRetry ? { error: state.error } : { attempt: 0 }) },
    effects: [...cancel(isArmed), 'open', { delayMs: CONNECT_WITHIN_MS }],
  };
}

function lost(state: ConnectionState, cause: ErrorLike, at: Moment, isArmed: boolean): Transition {
  const error = state.notice?.error ?? cause;
  const effects: Effect[] = [...cancel(isArmed), 'drop'];
  const wasStable = state.openedAt !== undefined && at.now - state.openedAt >= STABLE_AFTER_MS;
  const failed = wasStable ? 0 : state.attempt;
  // A stale token is the one refusal that a new token answers, whatever else the server says about it.
  if (!error.retryable && error.code !== 'TOKEN_EXPIRED')
    return { state: { ...base(state), status: 'failed', attempt: failed, error }, effects };
  const advisedMs = serverDelayMs(state.notice?.delayMs) ?? serverDelayMs(error.retryAfterMs);
  const delayMs = advisedMs ?? backoffMs(failed, at.random);
  const notBefore = advisedMs === undefined ? undefined : at.now + advisedMs;
  return {
    state: { ...base(state), status: 'waiting', attempt: failed + 1, error, retryInMs: delayMs, notBefore },
    effects: [...effects, { delayMs }],
  };
}

/** The network is back, or the user: worth an attempt at once, but never before the time the server asked for. */
function wokenUp(state: ConnectionState, at: Moment): Transition {
  if (state.status === 'connected') return { state, effects: ['check'] };
  const mayRetry = state.status === 'waiting' && (state.notBefore === undefined || at.now >= state.notBefore);
  return mayRetry ? attempt(state, true) : { state, effects: [] };
}

function cancel(isArmed: boolean): Effect[] {
  return isArmed ? ['cancel'] : [];
}
