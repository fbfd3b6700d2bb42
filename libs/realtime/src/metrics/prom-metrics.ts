import type { Gauge, Registry } from 'prom-client';
import type { RealtimeMetrics } from '../core/metrics.js';
import { MetricFactory, type Tally } from './metric-factory.js';
import type { TallyHistogram } from './tally-histogram.js';

const FAST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const MEMBERS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/**
 * Counts with prom-client, all names prefixed `realtime_`. Counts on the message path go into plain numbers and reach
 * prom-client at a scrape, because its counters hash their labels each time. Invariant: no metric has more than 50 series.
 */
export class PromMetrics implements RealtimeMetrics {
  private readonly make: MetricFactory;
  private readonly transports: Tally;
  private readonly connections: Tally;
  private readonly connects: Tally;
  private readonly disconnects: Tally;
  private readonly rejections: Tally;
  private readonly received: Tally;
  private readonly sent: Tally;
  private readonly errors: Tally;
  private readonly publications: Tally;
  private readonly gaps: Tally;
  private readonly recoveries: Tally;
  private readonly throttles: Tally;
  private readonly drops: Tally;
  private readonly handlerSeconds: TallyHistogram;
  private readonly fanOut: TallyHistogram;
  private readonly commandSeconds: TallyHistogram;
  private readonly deliverySeconds: TallyHistogram;
  private readonly rooms: Gauge;
  private readonly presence: Gauge;
  private readonly redis: Gauge;

  /** @throws if the registry has these metrics already: each app needs a registry of its own. */
  constructor(registry: Registry) {
    const make = (this.make = new MetricFactory(registry));
    this.transports = make.tally('transports', 'Open transports', [], 'gauge');
    this.connections = make.tally('connections', 'Open connections', ['namespace'], 'gauge');
    this.connects = make.tally('connects_total', 'Connections opened', ['namespace']);
    this.disconnects = make.tally('disconnects_total', 'Connections closed', ['namespace', 'reason']);
    this.rejections = make.tally('handshake_rejections_total', 'Refused handshakes', ['code']);
    this.received = make.tally('messages_in_total', 'Messages of clients; `_unknown`: no handler', ['event']);
    this.sent = make.tally('messages_out_total', 'Messages to clients, broadcasts once for each recipient', []);
    this.errors = make.tally('error_acks_total', 'Requests that were answered with an error', ['code']);
    this.publications = make.tally('publications_total', 'Publications of this node', []);
    this.gaps = make.tally('gaps_total', 'Holes in what the channels of rooms brought', ['outcome']);
    this.recoveries = make.tally('recoveries_total', 'Joins with a position', ['recovered']);
    this.throttles = make.tally('throttled_total', 'What a limit refused', ['limit']);
    this.drops = make.tally('dropped_total', 'What was lost or refused on purpose', ['kind']);
    this.handlerSeconds = make.histogram('handler_seconds', 'Time in handlers', FAST_SECONDS, 'event');
    this.fanOut = make.histogram('fanout_members', 'Local recipients of a publication', MEMBERS);
    this.commandSeconds = make.histogram('redis_command_seconds', 'Time of Redis commands', FAST_SECONDS, 'ok');
    this.deliverySeconds = make.histogram(
      'cluster_delivery_seconds',
      'A probe through Redis and back to this node',
      FAST_SECONDS,
    );
    this.rooms = make.gauge('rooms', 'Rooms with members on this node');
    this.presence = make.gauge('presence_entries', 'Presence entries of this node');
    this.redis = make.gauge('redis_up', '1: Redis answers and our own messages come back');
  }

  /** Adds `realtime_event_loop_lag_seconds`, read at each scrape. */
  watchEventLoop(lagMs: () => number): void {
    this.make.gauge(
      'event_loop_lag_seconds',
      'Longest delay of the event loop in the last second',
      () => lagMs() / 1_000,
    );
  }

  transport(delta: 1 | -1): void {
    this.transports.add([], delta);
  }

  connected(namespace: string): void {
    this.connections.add([namespace], 1);
    this.connects.add([namespace], 1);
  }

  disconnected(namespace: string, reason: string): void {
    this.connections.add([namespace], -1);
    this.disconnects.add([namespace, reason], 1);
  }

  handshakeRejected(code: string): void {
    this.rejections.add([code], 1);
  }

  messageIn(event: string): void {
    this.received.add([event], 1);
  }

  messagesOut(count: number): void {
    this.sent.add([], count);
  }

  handled(event: string, seconds: number): void {
    this.handlerSeconds.add(event, seconds);
  }

  errorAck(code: string): void {
    this.errors.add([code], 1);
  }

  published(): void {
    this.publications.add([], 1);
  }

  fannedOut(members: number): void {
    this.fanOut.add('', members);
  }

  gap(outcome: string): void {
    this.gaps.add([outcome], 1);
  }

  recovered(isRecovered: boolean): void {
    this.recoveries.add([isRecovered ? 'yes' : 'no'], 1);
  }

  roomsHosted(count: number): void {
    this.rooms.set(count);
  }

  presenceEntries(count: number): void {
    this.presence.set(count);
  }

  throttled(limit: string): void {
    this.throttles.add([limit], 1);
  }

  redisUp(isUp: boolean): void {
    this.redis.set(isUp ? 1 : 0);
  }

  redisCommand(seconds: number, isOk: boolean): void {
    this.commandSeconds.add(isOk ? 'yes' : 'no', seconds);
  }

  clusterDelivery(seconds: number): void {
    this.deliverySeconds.add('', seconds);
  }

  dropped(kind: string): void {
    this.drops.add([kind], 1);
  }
}
