import { Counter, Gauge, type Registry } from 'prom-client';
import { SeriesCap } from './series-cap.js';
import { TallyHistogram } from './tally-histogram.js';

/** Series of one metric, whatever clients and apps invent. */
export const MAX_SERIES = 50;

/** A counter or gauge as plain numbers, one for each series. */
export class Tally {
  private readonly series = new Map<string, { readonly labels: readonly string[]; value: number }>();
  private readonly cap = new SeriesCap(MAX_SERIES);

  add(labels: readonly string[], delta: number): void {
    const capped = this.cap.cap(labels);
    const key = capped.length === 1 ? capped[0]! : capped.join('\u0000');
    const series = this.series.get(key);
    if (series) series.value += delta;
    else this.series.set(key, { labels: capped, value: delta });
  }

  forEach(visit: (labels: readonly string[], value: number) => void): void {
    for (const { labels, value } of this.series.values()) visit(labels, value);
  }
}

/** Registers metrics under our prefix, once in a registry. */
export class MetricFactory {
  constructor(private readonly registry: Registry) {
    if (registry.getSingleMetric('realtime_transports'))
      throw new Error(
        'This registry already has the metrics of a realtime app: give each app a prom-client Registry of its own',
      );
  }

  tally(name: string, help: string, labelNames: string[], kind: 'counter' | 'gauge' = 'counter'): Tally {
    const tally = new Tally();
    if (labelNames.length === 0) tally.add([], 0);
    const toLabels = (values: readonly string[]): Record<string, string> =>
      Object.fromEntries(labelNames.map((label, index) => [label, values[index]!]));
    const common = { name: `realtime_${name}`, help, labelNames, registers: [this.registry] };
    if (kind === 'gauge')
      new Gauge({
        ...common,
        collect() {
          tally.forEach((values, value) => this.set(toLabels(values), value));
        },
      });
    else
      new Counter({
        ...common,
        collect() {
          this.reset();
          tally.forEach((values, value) => this.inc(toLabels(values), value));
        },
      });
    return tally;
  }

  gauge(name: string, help: string, read?: () => number): Gauge {
    return new Gauge({
      name: `realtime_${name}`,
      help,
      registers: [this.registry],
      ...(read && {
        collect() {
          this.set(read());
        },
      }),
    });
  }

  histogram(name: string, help: string, buckets: number[], labelName?: string): TallyHistogram {
    const { registry } = this;
    return new TallyHistogram({ name: `realtime_${name}`, help, buckets, labelName, maxSeries: MAX_SERIES, registry });
  }
}
