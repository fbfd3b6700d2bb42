import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { withResults } from './document.js';
import type { Outcome } from './outcome.js';
import { html } from './html.js';
import { svg } from './svg.js';

/** What the last run left, kept out of the repository. */
export const RESULTS = 'bench-results';
/** What stands in the documentation. */
const STORE = 'docs/benchmarks';
/** With a place for the results of each scenario. */
const DOCUMENT = 'docs/benchmarks.md';
export const REPORT = join(RESULTS, 'report.html');

export async function write(outcome: Outcome, options: { readonly isStored: boolean }): Promise<void> {
  await writeTo(RESULTS, outcome);
  if (options.isStored) {
    await writeTo(STORE, outcome);
    await writeDocument();
  }
  writeReport();
}

/** What the documentation says is what is stored beside it. */
async function writeDocument(): Promise<void> {
  const document = readAll(STORE).reduce(
    (text, [, outcome]) => withResults(text, outcome),
    readFileSync(DOCUMENT, 'utf8'),
  );
  const config = await resolveConfig(DOCUMENT);
  writeFileSync(DOCUMENT, await format(document, { ...config, parser: 'markdown' }));
}

/** Takes what the last runs left into the documentation. */
export async function storeResults(): Promise<void> {
  for (const [, outcome] of readAll(RESULTS)) await writeTo(STORE, outcome);
  await writeDocument();
}

/** Of all scenarios that have left results; those that are stored fill the gaps. */
export function writeReport(): void {
  const outcomes = new Map([...readAll(STORE), ...readAll(RESULTS)]);
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(REPORT, html([...outcomes.values()]));
}

/** Of one scenario; what an earlier run left is removed. */
export function emptyProfileFolder(scenario: string): string {
  const folder = join(RESULTS, 'profiles', scenario);
  rmSync(folder, { recursive: true, force: true });
  return folder;
}

async function writeTo(folder: string, outcome: Outcome): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${outcome.scenario}.json`);
  const config = await resolveConfig(path);
  writeFileSync(path, await format(JSON.stringify(outcome), { ...config, parser: 'json' }));
  outcome.plots.forEach((plot, index) => writeFileSync(join(folder, plotName(outcome, index)), svg(outcome, plot)));
}

/** `publish.svg`, `publish-2.svg`, … */
export function plotName({ scenario }: Outcome, index: number): string {
  return index === 0 ? `${scenario}.svg` : `${scenario}-${index + 1}.svg`;
}

function readAll(folder: string): [string, Outcome][] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Outcome)
    .map((outcome) => [outcome.scenario, outcome]);
}
