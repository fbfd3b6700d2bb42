import { Histogram, Registry } from 'prom-client';
import { TallyHistogram } from './tally-histogram.js';

const COMMON = { name: 'seconds', help: 'Time', buckets: [0.1, 1, 10] };
const SAMPLES = [
  ['a', 0.1],
  ['b', 0.100_1],
  ['a', 11],
  ['a', 0],
  ['b', 1],
] as const;

async function page(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').sort();
}

describe('a histogram in plain numbers', () => {
  it('looks at a scrape as one of prom-client', async () => {
    const [ours, theirs] = [new Registry(), new Registry()];
    const tally = new TallyHistogram({ ...COMMON, labelName: 'event', maxSeries: 5, registry: ours });
    const histogram = new Histogram({ ...COMMON, labelNames: ['event'], registers: [theirs] });
    expect(await page(ours)).toEqual(await page(theirs));
    for (const [event, value] of SAMPLES) {
      tally.add(event, value);
      histogram.observe({ event }, value);
    }
    expect(await page(ours)).toEqual(await page(theirs));
    const [own] = await ours.getMetricsAsJSON();
    const [other] = await theirs.getMetricsAsJSON();
    expect(own).toMatchObject({ name: 'seconds', type: other?.type, aggregator: other?.aggregator });
  });

  it('looks the same without a label, before anything is counted and after a reset', async () => {
    const [ours, theirs] = [new Registry(), new Registry()];
    const tally = new TallyHistogram({ ...COMMON, maxSeries: 5, registry: ours });
    const histogram = new Histogram({ ...COMMON, registers: [theirs] });
    const both = async (): Promise<void> => expect(await page(ours)).toEqual(await page(theirs));
    await both();
    for (const [, value] of SAMPLES) {
      tally.add('', value);
      histogram.observe(value);
    }
    await both();
    for (const registry of [ours, theirs]) registry.resetMetrics();
    await both();
    tally.add('', 2);
    histogram.observe(2);
    await both();
  });

  it('counts what is beyond its series together, and starts anew after a reset', async () => {
    const registry = new Registry();
    const tally = new TallyHistogram({ ...COMMON, labelName: 'event', maxSeries: 3, registry });
    for (const event of ['a', 'b', 'c', 'd', 'a']) tally.add(event, 1);
    const counts = (lines: string[]): string[] => lines.filter((line) => line.startsWith('seconds_count'));
    expect(counts(await page(registry))).toEqual([
      'seconds_count{event="_other"} 2',
      'seconds_count{event="a"} 2',
      'seconds_count{event="b"} 1',
    ]);
    registry.resetMetrics();
    expect(counts(await page(registry))).toEqual([]);
  });
});
