import type { Column } from '../scenario.js';
import type { Outcome, Point } from './outcome.js';
import type { Profile } from './profile.js';

export interface Table {
  /** The step, if there is more than one. */
  readonly label: string | undefined;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One for each step; of a long sweep, one that names the step in each row. */
export function tablesOf(outcome: Outcome): Table[] {
  const { steps } = outcome;
  if (steps.length > 4) return [sweepTable(outcome)];
  return steps.map(({ label }) => ({
    label: steps.length > 1 ? label : undefined,
    head: ['set-up', ...outcome.columns.flatMap((column) => heads(outcome, column))],
    rows: outcome.series.flatMap(({ name, points }) => {
      const point = points.find((one) => one.label === label);
      return point ? [[name, ...outcome.columns.flatMap((column) => cells(outcome, column, point))]] : [];
    }),
  }));
}

export function profileTable({ peer, entries }: Profile): Table {
  return {
    label: `Where ${peer} spends its time`,
    head: [`self time of ${peer}`, 'share'],
    rows: entries.map(({ where, share }) => [where, format(share, 3)]),
  };
}

function sweepTable(outcome: Outcome): Table {
  return {
    label: undefined,
    head: [
      'set-up',
      outcome.plots[0]?.kind === 'lines' ? outcome.plots[0].x.label : 'step',
      ...outcome.columns.map(({ label }) => label),
    ],
    rows: outcome.series.flatMap(({ name, points }) =>
      points.map((point) => [
        name,
        point.label,
        ...outcome.columns.map(({ key, digits }) => format(point.medians[key], digits)),
      ]),
    ),
  };
}

/** As Markdown, numbers to the right, in the shape that Prettier gives it. */
export function markdown({ head, rows }: Table): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0);
  const line = (cells: readonly string[]): string => `| ${cells.map(pad).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

function heads(outcome: Outcome, { label, ratioTo }: Column<string>): string[] {
  const base = outcome.series.find(({ peer }) => peer === ratioTo);
  return base ? [label, `of ${base.name}`] : [label];
}

function cells(outcome: Outcome, { key, digits, ratioTo }: Column<string>, point: Point): string[] {
  const value = format(point.medians[key], digits);
  const base = outcome.series.find(({ peer }) => peer === ratioTo);
  if (!base) return [value];
  const reference = base.points.find(({ label }) => label === point.label)?.medians[key] ?? Number.NaN;
  return [value, format((point.medians[key] ?? Number.NaN) / reference, 3)];
}

export function format(value: number | undefined, digits: number): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  return value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
