import type { Lifecycle } from '../core/lifecycle.js';

/** `down`: the server is not reachable or does not echo our probe. */
export type BusState = 'up' | 'down';

export type BusListener = (payload: string) => void;

/**
 * Messages between nodes, at most once, in order for each channel and publisher. A payload comes back to its own node
 * too, on the same path as to everybody else, so all nodes see one order.
 * Invariant: when `subscribe` has resolved, whatever is published later is delivered, as long as the state stays `up`.
 * Each `subscribe` begins a new generation, also for a channel that is subscribed already: its listener never gets a
 * message that reached this node before the server confirmed this very subscription. In memory and with one Redis these are
 * all messages whose `publish` resolved before `subscribe` was called. The masters of a Redis Cluster hand messages on to
 * each other later than they take them: there a message that was taken shortly before may still be delivered.
 */
export interface ClusterBus extends Lifecycle {
  readonly state: BusState;
  /** Milliseconds the last probe took there and back; undefined before the first echo. */
  readonly roundTripMs: number | undefined;
  /** Called on each change, with `up` only after all subscriptions are confirmed again. Returns its own removal. */
  onState(listener: (state: BusState) => void): () => void;
  /**
   * One listener for each channel, which takes the place of an earlier one at once; resolves when the server has confirmed
   * it. Rejects with `UNAVAILABLE` past the deadline.
   */
  subscribe(channel: string, listener: BusListener): Promise<void>;
  /** The listener gets nothing from the moment of the call on. */
  unsubscribe(channel: string): Promise<void>;
  /** Resolves when the server took it; rejects with `UNAVAILABLE` (retryable) if the queue is full or the deadline passed, with `LIMIT_EXCEEDED` if the payload is too large. */
  publish(channel: string, payload: string): Promise<void>;
}
