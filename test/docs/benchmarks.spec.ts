import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { withResults } from '../../bench/results/document.js';
import type { Outcome } from '../../bench/results/outcome.js';
import { SCENARIOS } from '../../bench/scenarios/index.js';
import { ROOT, readPage } from './markdown.js';

const STORE = join(ROOT, 'docs/benchmarks');

/** However wide its columns are drawn. */
function words(text: string): string {
  return text.replaceAll(/-{3,}:?/g, '-').replaceAll(/\s+/g, ' ');
}

describe('the page of the benchmarks', () => {
  it.each(SCENARIOS.map(({ name }) => name))('says what was measured, and is drawn: %s', (name) => {
    const outcome = JSON.parse(readFileSync(join(STORE, `${name}.json`), 'utf8')) as Outcome;
    const page = readPage('docs/benchmarks.md');
    expect(words(withResults(page, outcome))).toBe(words(page));
    expect(outcome.isQuick).toBe(false);
    expect(readdirSync(STORE)).toContain(`${name}.svg`);
    expect(readFileSync(join(STORE, `${name}.svg`), 'utf8')).toContain(outcome.circumstances.commit);
  });

  it('has a place for each scenario only once, and for nothing else', () => {
    expect(() => withResults('nothing', { scenario: 'ack' } as Outcome)).toThrow("no place for 'ack'");
    const places = [...readPage('docs/benchmarks.md').matchAll(/<!-- bench: (\S+) -->/g)].map(([, name]) => name);
    expect(places.sort()).toEqual(SCENARIOS.map(({ name }) => name).sort());
  });
});
