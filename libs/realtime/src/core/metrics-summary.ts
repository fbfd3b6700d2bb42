import { LatencyBuckets } from './latency-buckets.js';
import type { RealtimeMetrics } from './metrics.js';

/** What happened since the last summary. */
export interface Summary {
  readonly connections: number;
  readonly connects: number;
  readonly disconnects: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly handlerP50Seconds: number | undefined;
  readonly handlerP99Seconds: number | undefined;
  readonly errors: ReadonlyMap<string, number>;
}

/** Different codes in one line; the rest is one sum. Apps may invent codes. */
const MAX_CODES = 10;

/**
 * Passes everything on to `next` and keeps the few numbers of the summary line beside it, so that the line exists in apps
 * without prom-client too.
 */
export function summarize(next: RealtimeMetrics): RealtimeMetrics & { takeSummary(): Summary } {
  const handlers = new LatencyBuckets();
  let errors = new Map<string, number>();
  let connections = 0;
  let [connects, disconnects, messagesIn, messagesOut] = [0, 0, 0, 0];
  const countError = (code: string): void => {
    const key = errors.has(code) || errors.size < MAX_CODES ? code : 'others';
    errors.set(key, (errors.get(key) ?? 0) + 1);
  };
  return {
    ...forward(next),
    connected(namespace) {
      connections += 1;
      connects += 1;
      next.connected(namespace);
    },
    disconnected(namespace, reason) {
      connections -= 1;
      disconnects += 1;
      next.disconnected(namespace, reason);
    },
    messageIn(event) {
      messagesIn += 1;
      next.messageIn(event);
    },
    messagesOut(count) {
      messagesOut += count;
      next.messagesOut(count);
    },
    handled(event, seconds) {
      handlers.add(seconds);
      next.handled(event, seconds);
    },
    handshakeRejected(code) {
      countError(code);
      next.handshakeRejected(code);
    },
    errorAck(code) {
      countError(code);
      next.errorAck(code);
    },
    takeSummary() {
      const [p50, p99] = [handlers.quantile(0.5), handlers.quantile(0.99)];
      const summary: Summary = {
        connections,
        connects,
        disconnects,
        messagesIn,
        messagesOut,
        handlerP50Seconds: p50,
        handlerP99Seconds: p99,
        errors,
      };
      handlers.reset();
      errors = new Map();
      [connects, disconnects, messagesIn, messagesOut] = [0, 0, 0, 0];
      return summary;
    },
  };
}

/** One line, the same words each time, so that people and log queries can read it. */
export function formatSummary(summary: Summary): string {
  const handlers =
    summary.handlerP50Seconds === undefined
      ? 'handlers idle'
      : `handlers p50 ${ms(summary.handlerP50Seconds)} p99 ${ms(summary.handlerP99Seconds ?? 0)}`;
  const errors = [...summary.errors]
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${printable(code)} ${count}`);
  return [
    `${summary.connections} connections (+${summary.connects} -${summary.disconnects})`,
    `${summary.messagesIn} messages in, ${summary.messagesOut} out`,
    handlers,
    errors.length === 0 ? 'no errors' : `errors ${errors.join(', ')}`,
  ].join('; ');
}

function ms(seconds: number): string {
  const value = seconds * 1_000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** A code may come from an app's error and end up in a log: one short word. */
function printable(code: string): string {
  return code.replace(/[^\w.:-]/g, '?').slice(0, 40);
}

/** Bound, because an implementation may be a class. */
function forward(next: RealtimeMetrics): RealtimeMetrics {
  return {
    transport: (delta) => next.transport(delta),
    connected: (namespace) => next.connected(namespace),
    disconnected: (namespace, reason) => next.disconnected(namespace, reason),
    handshakeRejected: (code) => next.handshakeRejected(code),
    messageIn: (event) => next.messageIn(event),
    messagesOut: (count) => next.messagesOut(count),
    handled: (event, seconds) => next.handled(event, seconds),
    errorAck: (code) => next.errorAck(code),
    published: () => next.published(),
    fannedOut: (members) => next.fannedOut(members),
    gap: (outcome) => next.gap(outcome),
    recovered: (isRecovered) => next.recovered(isRecovered),
    roomsHosted: (count) => next.roomsHosted(count),
    presenceEntries: (count) => next.presenceEntries(count),
    throttled: (limit) => next.throttled(limit),
    redisUp: (isUp) => next.redisUp(isUp),
    redisCommand: (seconds, isOk) => next.redisCommand(seconds, isOk),
    clusterDelivery: (seconds) => next.clusterDelivery(seconds),
    dropped: (kind) => next.dropped(kind),
  };
}
