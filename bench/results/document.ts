import type { Outcome } from './outcome.js';
import { format, markdown, tablesOf, type Table } from './tables.js';

/** More steps than that stand side by side, one table for what each plot shows. */
const MAX_TABLES = 2;

/**
 * Puts what was measured where the document has a place for it, between `<!-- bench: name -->` and `<!-- /bench: name -->`; what is
 * written around these places stays. @throws Error if the document has no place for it.
 */
export function withResults(document: string, outcome: Outcome): string {
  const [from, to] = [`<!-- bench: ${outcome.scenario} -->`, `<!-- /bench: ${outcome.scenario} -->`];
  const [start, end] = [document.indexOf(from), document.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`The document has no place for '${outcome.scenario}': ${from} ${to}`);
  return `${document.slice(0, start + from.length)}\n\n${resultsOf(outcome)}\n\n${document.slice(end)}`;
}

function resultsOf(outcome: Outcome): string {
  const tables =
    outcome.steps.length > MAX_TABLES ? outcome.plots.map((plot) => matrixOf(outcome, plot)) : tablesOf(outcome);
  const [plot] = outcome.plots;
  return [
    ...tables.map((table) => [...(table.label === undefined ? [] : [`${table.label}:`]), markdown(table)].join('\n\n')),
    ...(outcome.checks.length === 0 ? [] : [markdown(verdictsOf(outcome))]),
    `![${plot?.title ?? outcome.title}](benchmarks/${outcome.scenario}.svg)`,
    captionOf(outcome),
  ].join('\n\n');
}

/** Set-ups down, steps across. */
function matrixOf({ series, steps, columns }: Outcome, { y }: Outcome['plots'][number]): Table {
  const digits = columns.find(({ key }) => key === y.key)?.digits ?? 0;
  return {
    label: `${y.label.charAt(0).toUpperCase()}${y.label.slice(1)}`,
    head: ['set-up', ...steps.map(({ label }) => label)],
    rows: series.map(({ name, points }) => [
      name,
      ...steps.map(({ label }) => format(points.find((point) => point.label === label)?.medians[y.key], digits)),
    ]),
  };
}

function verdictsOf({ checks }: Outcome): Table {
  return {
    label: undefined,
    head: ['target', 'value', 'wanted', ''],
    rows: checks.map(({ what, value, atMost, atLeast, isMet }) => [
      what,
      format(value, value < 100 ? 3 : 0),
      atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`,
      isMet ? 'met' : '**missed**',
    ]),
  };
}

function captionOf({ runs, circumstances: { command, commit, date, machine, versions } }: Outcome): string {
  return `${runs === 1 ? 'One run' : `Median of ${runs} runs`}. \`${command}\`, commit ${commit}, ${date}; ${machine}; ${versions}.`;
}
