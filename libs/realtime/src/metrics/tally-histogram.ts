import { Histogram, type Registry } from 'prom-client';
import { SeriesCap } from './series-cap.js';

export interface TallyHistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly buckets: number[];
  /** Absent: one series, which is there from the start. */
  readonly labelName?: string | undefined;
  readonly maxSeries: number;
  readonly registry: Registry;
}

interface Series {
  /** One for each bucket, and one for what is beyond them. */
  readonly counts: number[];
  sum: number;
}

type Values = Awaited<ReturnType<Histogram<string>['get']>>['values'];

/**
 * A prom-client histogram with at most one label that counts in plain numbers: an observation costs a look at the bounds, where
 * prom-client's own validates and hashes its labels each time. Looks the same at a scrape.
 */
export class TallyHistogram extends Histogram<string> {
  /** The registry asks for this first; without it, for `get`. */
  protected readonly getForPromString: undefined = undefined;
  private readonly series = new Map<string, Series>();
  private readonly cap: SeriesCap;

  constructor(private readonly options: TallyHistogramOptions) {
    const { name, help, buckets, labelName, registry } = options;
    super({ name, help, buckets, labelNames: labelName === undefined ? [] : [labelName], registers: [registry] });
    this.cap = new SeriesCap(options.maxSeries);
    if (labelName === undefined) this.open('');
  }

  add(label: string, value: number): void {
    let series = this.series.get(label);
    if (!series) {
      const [capped = label] = this.cap.cap([label]);
      series = this.series.get(capped) ?? this.open(capped);
    }
    const { buckets } = this.options;
    let index = 0;
    while (index < buckets.length && value > buckets[index]!) index += 1;
    series.counts[index]! += 1;
    series.sum += value;
  }

  /** Also called by the constructor above, before there is anything. */
  override reset(): void {
    (this.series as Map<string, Series> | undefined)?.clear();
  }

  override async get(): ReturnType<Histogram<string>['get']> {
    const { name, help } = this.options;
    const values = [...this.series].flatMap(([label, series]) => this.valuesOf(label, series));
    return { name, help, type: 'histogram', values, aggregator: 'sum' } as unknown as Awaited<
      ReturnType<Histogram<string>['get']>
    >;
  }

  private open(label: string): Series {
    const series = { counts: Array.from({ length: this.options.buckets.length + 1 }, () => 0), sum: 0 };
    this.series.set(label, series);
    return series;
  }

  private valuesOf(label: string, { counts, sum }: Series): Values {
    const { name, buckets, labelName } = this.options;
    const labels = labelName === undefined ? {} : { [labelName]: label };
    let count = 0;
    const bounded = counts.map((inBucket, index) => {
      count += inBucket;
      return { labels: { le: buckets[index] ?? '+Inf', ...labels }, value: count, metricName: `${name}_bucket` };
    });
    return [
      ...bounded,
      { labels, value: sum, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    ];
  }
}
