import { createHistogram } from 'node:perf_hooks';
import type { Latency } from '../harness/messages.js';

const LONGEST_MICROS = 120_000_000;
const MICROS_PER_MS = 1_000;

/** Latencies, and what share of its core this process has used since it was made. */
export class Meter {
  private readonly histogram = createHistogram({ lowest: 1, highest: LONGEST_MICROS, figures: 3 });
  private readonly startedAt = performance.now();
  private readonly cpuBefore = process.cpuUsage();

  record(micros: number): void {
    this.histogram.record(Math.min(LONGEST_MICROS, Math.max(1, Math.round(micros))));
  }

  latency(): Latency {
    const { histogram } = this;
    if (histogram.count === 0) return { p50: Number.NaN, p99: Number.NaN };
    return { p50: histogram.percentile(50) / MICROS_PER_MS, p99: histogram.percentile(99) / MICROS_PER_MS };
  }

  /** 1: the whole core. */
  busy(): number {
    const { user, system } = process.cpuUsage(this.cpuBefore);
    return (user + system) / MICROS_PER_MS / (performance.now() - this.startedAt);
  }
}
