import { LatencyBuckets } from './latency-buckets.js';
import { formatSummary, summarize } from './metrics-summary.js';
import { noMetrics } from './metrics.js';

describe('when a minute is summarized', () => {
  it('says in one line what happened, and starts again', () => {
    const metrics = summarize(noMetrics);
    for (let i = 0; i < 3; i += 1) metrics.connected('/');
    metrics.disconnected('/', 'transport close');
    for (let i = 0; i < 100; i += 1) metrics.handled('send', i < 95 ? 0.001 : 0.2);
    metrics.messageIn('send');
    metrics.messagesOut(7);
    metrics.errorAck('FORBIDDEN');
    metrics.errorAck('RATE_LIMITED');
    metrics.handshakeRejected('RATE_LIMITED');
    expect(formatSummary(metrics.takeSummary())).toBe(
      '2 connections (+3 -1); 1 messages in, 7 out; handlers p50 1.1 ms p99 241 ms; errors RATE_LIMITED 2, FORBIDDEN 1',
    );
    expect(formatSummary(metrics.takeSummary())).toBe(
      '2 connections (+0 -0); 0 messages in, 0 out; handlers idle; no errors',
    );
  });

  it('passes everything on, also to a class', () => {
    const calls: string[] = [];
    class Recording {
      readonly prefix = 'seen';
    }
    const target = new Recording();
    for (const method of Object.keys(noMetrics))
      Object.defineProperty(target, method, {
        value: function (this: Recording) {
          calls.push(`${this.prefix} ${method}`);
        },
      });
    const metrics = summarize(target as unknown as typeof noMetrics) as unknown as Record<
      string,
      (...args: unknown[]) => void
    >;
    for (const method of Object.keys(noMetrics)) metrics[method]!(1, 1);
    expect(calls).toEqual(Object.keys(noMetrics).map((method) => `seen ${method}`));
  });

  it('keeps the line short and printable, whatever codes an app invents', () => {
    const metrics = summarize(noMetrics);
    for (let i = 0; i < 100; i += 1) metrics.errorAck(`MY_${i}\r\n`);
    const line = formatSummary(metrics.takeSummary());
    expect(line).toContain('others 90');
    expect(line).not.toMatch(/[\r\n]/);
    expect(line.length).toBeLessThan(300);
  });
});

describe('when durations are counted in buckets', () => {
  it.each([0.000_01, 0.0004, 0.003, 0.25, 7, 55])('finds %d s again, at most a quarter too high', (seconds) => {
    const buckets = new LatencyBuckets();
    buckets.add(seconds);
    const found = buckets.quantile(0.99)!;
    expect(found).toBeGreaterThanOrEqual(seconds * 0.999);
    expect(found).toBeLessThanOrEqual(Math.max(seconds * 1.25, 0.000_05));
  });

  it('knows nothing when it is empty, and caps what is longer than a minute', () => {
    const buckets = new LatencyBuckets();
    expect(buckets.quantile(0.5)).toBeUndefined();
    buckets.add(10_000);
    expect(buckets.quantile(0.5)).toBeGreaterThan(50);
    buckets.reset();
    expect(buckets.quantile(0.5)).toBeUndefined();
  });
});
