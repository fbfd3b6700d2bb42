/**
 * What the library counts, as a port: `metrics/` implements it with prom-client, everybody else only calls it.
 * Labels are bounded by construction: `event` is a declared event or `_unknown`, codes and reasons come from our own lists.
 */
export interface RealtimeMetrics {
  /** A transport was accepted / went away. */
  transport(delta: 1 | -1): void;
  /** A connection was opened, in its namespace. */
  connected(namespace: string): void;
  disconnected(namespace: string, reason: string): void;
  handshakeRejected(code: string): void;
  messageIn(event: string): void;
  messagesOut(count: number): void;
  handled(event: string, seconds: number): void;
  errorAck(code: string): void;
  published(): void;
  fannedOut(members: number): void;
  /** A room's channel had lost something: it was fetched from the log, or the members were told that it is gone. */
  gap(outcome: 'repaired' | 'told'): void;
  /** A client came back to a room with its position: it got all that it missed, or none. */
  recovered(isRecovered: boolean): void;
  roomsHosted(count: number): void;
  presenceEntries(count: number): void;
  throttled(limit: string): void;
  redisUp(isUp: boolean): void;
  redisCommand(seconds: number, isOk: boolean): void;
  clusterDelivery(seconds: number): void;
  /** Something was lost or refused on purpose, by kind: never silent. */
  dropped(kind: string): void;
}

/** Injection token of the app's `RealtimeMetrics`. Nobody provides it: nothing is counted. */
export const REALTIME_METRICS = Symbol.for('nestjs-realtime:METRICS');

const nothing = (): void => undefined;

export const noMetrics: RealtimeMetrics = {
  transport: nothing,
  connected: nothing,
  disconnected: nothing,
  handshakeRejected: nothing,
  messageIn: nothing,
  messagesOut: nothing,
  handled: nothing,
  errorAck: nothing,
  published: nothing,
  fannedOut: nothing,
  gap: nothing,
  recovered: nothing,
  roomsHosted: nothing,
  presenceEntries: nothing,
  throttled: nothing,
  redisUp: nothing,
  redisCommand: nothing,
  clusterDelivery: nothing,
  dropped: nothing,
};
