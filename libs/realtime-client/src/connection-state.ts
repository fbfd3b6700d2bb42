import type { WireError } from 'nestjs-realtime-protocol';
import { backoffMs } from './backoff.js';

// When to connect, wait and give up: a pure reducer, so that every order of events can be tested without a network.
// It refuses to know sockets and timers (client.ts carries out the effects).
// Invariant: at most one of {an attempt, a live connection, a timer} exists.

export type ClientStatus = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed' | 'failed';

export interface ConnectionState {
  readonly status: ClientStatus;
  /** Failed attempts since the last time the client was connected. */
  readonly attempt: number;
  /** Why the connection was lost or refused the last time; absent while connected. */
  readonly error?: WireError | undefined;
  /** In `waiting`: how long until the next attempt. */
  readonly retryInMs?: number | undefined;
  /** What the server said before the end: `realtime:bye`, or the delay of `realtime:drain`. */
  readonly notice?: { readonly error?: WireError; readonly delayMs?: number } | undefined;
}

export type ConnectionEvent =
  | { type: 'connect' }
  /** Somebody needs a connection: as `connect`, but only for an idle client. */
  | { type: 'wake' }
  | { type: 'close' }
  | { type: 'opened' }
  | { type: 'notice'; error?: WireError; delayMs?: number }
  /** Refused, failed or ended; `error.retryable` decides between `waiting` and `failed`, unless a notice did before. */
  | { type: 'lost'; error: WireError }
  | { type: 'due' };

export type Effect = { type: 'open' } | { type: 'drop' } | { type: 'wait'; delayMs: number } | { type: 'cancel' };

export interface Transition {
  readonly state: ConnectionState;
  readonly effects: readonly Effect[];
}

export const IDLE: ConnectionState = { status: 'idle', attempt: 0 };

/** @param random a number in [0, 1) for the jitter. */
export function reduce(state: ConnectionState, event: ConnectionEvent, random: number): Transition {
  const isLive = state.status === 'connecting' || state.status === 'connected';
  switch (event.type) {
    case 'connect':
      if (isLive) return { state, effects: [] };
      return { state: { status: 'connecting', attempt: 0 }, effects: [{ type: 'cancel' }, { type: 'open' }] };
    case 'wake':
      return state.status === 'idle' ? reduce(state, { type: 'connect' }, random) : { state, effects: [] };
    case 'due':
      if (state.status !== 'waiting') return { state, effects: [] };
      return {
        state: { status: 'connecting', attempt: state.attempt, error: state.error },
        effects: [{ type: 'open' }],
      };
    case 'opened':
      if (state.status !== 'connecting') return { state, effects: [] };
      return { state: { status: 'connected', attempt: 0 }, effects: [] };
    case 'notice':
      if (!isLive) return { state, effects: [] };
      return { state: { ...state, notice: { ...state.notice, ...withoutType(event) } }, effects: [] };
    case 'lost':
      return isLive ? lost(state, event, random) : { state, effects: [] };
    case 'close':
      if (state.status === 'closed') return { state, effects: [] };
      return { state: { status: 'closed', attempt: 0 }, effects: [{ type: 'cancel' }, { type: 'drop' }] };
    default:
      return event satisfies never;
  }
}

function lost(state: ConnectionState, event: Extract<ConnectionEvent, { type: 'lost' }>, random: number): Transition {
  const error = state.notice?.error ?? event.error;
  if (!error.retryable)
    return { state: { status: 'failed', attempt: state.attempt, error }, effects: [{ type: 'drop' }] };
  const serverDelayMs = state.notice?.delayMs ?? error.retryAfterMs;
  const delayMs = serverDelayMs ?? backoffMs(state.attempt, random);
  return {
    state: { status: 'waiting', attempt: state.attempt + 1, error, retryInMs: delayMs },
    effects: [{ type: 'drop' }, { type: 'wait', delayMs }],
  };
}

function withoutType({ error, delayMs }: Extract<ConnectionEvent, { type: 'notice' }>) {
  return { ...(error === undefined ? {} : { error }), ...(delayMs === undefined ? {} : { delayMs }) };
}
