import { Registry } from 'prom-client';
import { noMetrics } from '../core/metrics.js';
import { PromMetrics } from './prom-metrics.js';

const start = (): {
  metrics: PromMetrics;
  registry: Registry;
  value: (line: string) => Promise<number | undefined>;
} => {
  const registry = new Registry();
  const metrics = new PromMetrics(registry);
  const value = async (series: string): Promise<number | undefined> => {
    const line = (await registry.metrics()).split('\n').find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  return { metrics, registry, value };
};

describe('when the library counts with prom-client', () => {
  it('adds up what happened, and says it again at the next scrape', async () => {
    const { metrics, value } = start();
    metrics.transport(1);
    metrics.transport(1);
    metrics.transport(-1);
    metrics.connected('/chat');
    metrics.connected('/chat');
    metrics.disconnected('/chat', 'SLOW_CONSUMER');
    metrics.messagesOut(5);
    metrics.messagesOut(2);
    metrics.redisUp(true);
    for (let scrape = 0; scrape < 2; scrape += 1) {
      expect(await value('realtime_transports')).toBe(1);
      expect(await value('realtime_connections{namespace="/chat"}')).toBe(1);
      expect(await value('realtime_connects_total{namespace="/chat"}')).toBe(2);
      expect(await value('realtime_disconnects_total{namespace="/chat",reason="SLOW_CONSUMER"}')).toBe(1);
      expect(await value('realtime_messages_out_total')).toBe(7);
      expect(await value('realtime_redis_up')).toBe(1);
    }
  });

  it('shows counters without labels before anything happened', async () => {
    expect(await start().value('realtime_publications_total')).toBe(0);
  });

  it('has histograms for handlers, fan-out, Redis and the way between nodes', async () => {
    const { metrics, value } = start();
    metrics.handled('send', 0.004);
    metrics.fannedOut(30);
    metrics.redisCommand(0.002, false);
    metrics.clusterDelivery(0.003);
    expect(await value('realtime_handler_seconds_bucket{le="0.005",event="send"}')).toBe(1);
    expect(await value('realtime_fanout_members_bucket{le="50"}')).toBe(1);
    expect(await value('realtime_redis_command_seconds_count{ok="no"}')).toBe(1);
    expect(await value('realtime_cluster_delivery_seconds_count')).toBe(1);
  });

  it('counts what became of holes, and of those who came back', async () => {
    const { metrics, value } = start();
    metrics.gap('repaired');
    metrics.gap('told');
    metrics.recovered(true);
    metrics.recovered(false);
    metrics.recovered(true);
    expect(await value('realtime_gaps_total{outcome="repaired"}')).toBe(1);
    expect(await value('realtime_gaps_total{outcome="told"}')).toBe(1);
    expect(await value('realtime_recoveries_total{recovered="yes"}')).toBe(2);
    expect(await value('realtime_recoveries_total{recovered="no"}')).toBe(1);
  });

  it('keeps every metric below 51 series, whatever the labels are, and loses no count', async () => {
    const { metrics, registry, value } = start();
    for (let i = 0; i < 1_000; i += 1) {
      metrics.messageIn(`event-${i}`);
      metrics.handled(`event-${i}`, 0.01);
      metrics.disconnected(`/n${i % 9}`, `reason-${i}`);
      metrics.errorAck(`CODE_${i}`);
    }
    for (const name of ['messages_in_total', 'disconnects_total', 'error_acks_total', 'handler_seconds']) {
      const metric = await registry.getSingleMetric(`realtime_${name}`)!.get();
      const series = new Set(metric.values.map(({ labels: { le: _le, ...labels } }) => JSON.stringify(labels)));
      expect(series.size).toBe(50);
    }
    expect(await value('realtime_messages_in_total{event="event-3"}')).toBe(1);
    expect(await value('realtime_messages_in_total{event="_other"}')).toBe(951);
  });

  it('refuses a registry that another app uses', () => {
    const { registry } = start();
    expect(() => new PromMetrics(registry)).toThrow(/Registry of its own/);
  });

  it('names everything realtime_ and implements the whole port', async () => {
    const { metrics, registry } = start();
    metrics.watchEventLoop(() => 250);
    const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    expect(names.filter((name) => !name.startsWith('realtime_'))).toEqual([]);
    expect(names).toHaveLength(21);
    expect((await registry.getSingleMetric('realtime_event_loop_lag_seconds')!.get()).values[0]?.value).toBe(0.25);
    for (const method of Object.keys(noMetrics)) expect(metrics).toHaveProperty(method);
  });
});
