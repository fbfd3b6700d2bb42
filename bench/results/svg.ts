import type { Plot } from '../scenario.js';
import type { Outcome, Series } from './outcome.js';
import { LinearScale, LogScale, type Scale } from './scales.js';

const WIDTH = 900;
const HEIGHT = 520;
const PLOT = { left: 80, right: 620, top: 56, bottom: 400 };
const LEGEND_X = 640;
const LINE = 19;
/** Readable on white, and apart for most kinds of colour blindness (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#8a6d3b', '#7f7f7f'];
const CAPTION_CHARACTERS = 128;

/** One picture with axes, units, a legend and a caption that says where the numbers come from. */
export function svg(outcome: Outcome, plot: Plot): string {
  const series = outcome.series.filter(({ points }) => points.length > 0);
  const body = plot.kind === 'lines' ? lines(plot, series) : bars(plot, series);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="13" role="img">`,
    `<title>${escape(plot.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text({ x: 16, y: 28, content: plot.title, extra: 'font-size="17" font-weight="600"' }),
    ...body,
    ...caption(outcome),
    '</svg>',
    '',
  ].join('\n');
}

function lines(plot: Extract<Plot, { kind: 'lines' }>, series: readonly Series[]): string[] {
  const { key } = plot.y;
  const points = series
    .flatMap((one) => one.points)
    .map((point) => ({ x: point.x, y: point.medians[key] ?? Number.NaN }));
  const x = scale(
    plot.x.scale,
    points.map((point) => point.x),
    [PLOT.left, PLOT.right],
  );
  const marks = plot.mark ? [plot.mark.value] : [];
  const y = scale(plot.y.scale, [...points.map((point) => point.y), ...marks], [PLOT.bottom, PLOT.top]);
  const drawn = series.flatMap(({ name, points: own }, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? '#000000';
    const places = own
      .filter(({ medians }) => Number.isFinite(medians[key]))
      .map((point) => `${round(x.place(point.x))},${round(y.place(point.medians[key] ?? 0))}`);
    return [
      `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2.2"/>`,
      ...places.map((place) => circle(place, colour)),
      ...legend(index, name, colour),
    ];
  });
  return [...grid(x, y), ...axisTitles(plot.x.label, plot.y.label), ...mark(plot.mark, y), ...drawn];
}

function bars(plot: Extract<Plot, { kind: 'bars' }>, series: readonly Series[]): string[] {
  const { key } = plot.y;
  const labels = [...new Set(series.flatMap(({ points }) => points.map(({ label }) => label)))];
  const values = series.flatMap(({ points }) => points.map(({ medians }) => medians[key] ?? 0));
  const y = scale(plot.y.scale, plot.y.scale === 'linear' ? [0, ...values] : values, [PLOT.bottom, PLOT.top]);
  const group = (PLOT.right - PLOT.left) / labels.length;
  const width = (group * 0.8) / series.length;
  const drawn = series.flatMap(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? '#000000';
    const rects = points.map(({ label, medians }) => {
      const left = PLOT.left + group * (labels.indexOf(label) + 0.1) + width * index;
      const top = y.place(medians[key] ?? 0);
      const box = `x="${round(left)}" y="${round(top)}" width="${round(width * 0.92)}" height="${round(PLOT.bottom - top)}"`;
      const value = text({
        x: left + width / 2,
        y: top - 5,
        content: short(medians[key] ?? 0),
        extra: 'text-anchor="middle" font-size="11"',
      });
      return `<rect ${box} fill="${colour}"/>${value}`;
    });
    return [...rects, ...legend(index, name, colour)];
  });
  const names = labels.map((label, index) =>
    text({ x: PLOT.left + group * (index + 0.5), y: PLOT.bottom + 20, content: label, extra: 'text-anchor="middle"' }),
  );
  return [...grid(undefined, y), ...axisTitles('', plot.y.label), ...(labels.length > 1 ? names : []), ...drawn];
}

function scale(kind: 'linear' | 'log', values: readonly number[], range: readonly [number, number]): Scale {
  const finite = values.filter(Number.isFinite);
  return kind === 'log' ? new LogScale(finite, range) : new LinearScale(finite, range);
}

function grid(x: Scale | undefined, y: Scale): string[] {
  const vertical = (x?.ticks() ?? []).flatMap((tick) => {
    const at = round(x?.place(tick) ?? 0);
    return [
      `<line x1="${at}" y1="${PLOT.top}" x2="${at}" y2="${PLOT.bottom}" stroke="#e4e4e4"/>`,
      text({ x: at, y: PLOT.bottom + 20, content: short(tick), extra: 'text-anchor="middle" font-size="12"' }),
    ];
  });
  const horizontal = y.ticks().flatMap((tick) => {
    const at = round(y.place(tick));
    return [
      `<line x1="${PLOT.left}" y1="${at}" x2="${PLOT.right}" y2="${at}" stroke="#e4e4e4"/>`,
      text({ x: PLOT.left - 8, y: at + 4, content: short(tick), extra: 'text-anchor="end" font-size="12"' }),
    ];
  });
  const frame = `<path d="M${PLOT.left} ${PLOT.top}V${PLOT.bottom}H${PLOT.right}" fill="none" stroke="#555555"/>`;
  return [...vertical, ...horizontal, frame];
}

function axisTitles(x: string, y: string): string[] {
  const middle = (PLOT.top + PLOT.bottom) / 2;
  return [
    text({ x: (PLOT.left + PLOT.right) / 2, y: PLOT.bottom + 42, content: x, extra: 'text-anchor="middle"' }),
    text({ x: 20, y: middle, content: y, extra: `text-anchor="middle" transform="rotate(-90 20 ${middle})"` }),
  ];
}

function mark(target: { readonly value: number; readonly label: string } | undefined, y: Scale): string[] {
  if (!target) return [];
  const at = round(y.place(target.value));
  return [
    `<line x1="${PLOT.left}" y1="${at}" x2="${PLOT.right}" y2="${at}" stroke="#b00020" stroke-dasharray="6 4"/>`,
    text({ x: PLOT.left + 6, y: at - 5, content: target.label, extra: 'fill="#b00020" font-size="12"' }),
  ];
}

function legend(index: number, name: string, colour: string): string[] {
  const y = PLOT.top + 8 + index * (LINE + 4);
  return [
    `<rect x="${LEGEND_X}" y="${y - 9}" width="14" height="10" fill="${colour}"/>`,
    text({ x: LEGEND_X + 20, y, content: name, extra: 'font-size="12"' }),
  ];
}

function caption({ circumstances, runs, isQuick }: Outcome): string[] {
  const { machine, versions, commit, command, date } = circumstances;
  const kind = isQuick ? 'quick run, not for comparison' : runs === 1 ? 'one run' : `median of ${runs} runs`;
  return [`${machine}; ${date}; ${kind}`, ...wrap(versions), `commit ${commit}; ${command}`].map((line, index) =>
    text({ x: 16, y: PLOT.bottom + 66 + index * 15, content: line, extra: 'fill="#555555" font-size="10.5"' }),
  );
}

function wrap(line: string): string[] {
  if (line.length <= CAPTION_CHARACTERS) return [line];
  const at = line.lastIndexOf(', ', CAPTION_CHARACTERS) + 1;
  return [line.slice(0, at), ...wrap(line.slice(at + 1))];
}

function circle(place: string, colour: string): string {
  const [x, y] = place.split(',');
  return `<circle cx="${x}" cy="${y}" r="3.2" fill="${colour}"/>`;
}

interface Text {
  readonly x: number;
  readonly y: number;
  readonly content: string;
  readonly extra?: string;
}

function text({ x, y, content, extra = '' }: Text): string {
  return `<text x="${round(x)}" y="${round(y)}" ${extra}>${escape(content)}</text>`;
}

/** 1200 as 1.2k, 3500000 as 3.5M, small numbers with two significant digits. */
export function short(value: number): string {
  if (value >= 1_000_000) return `${trim(value / 1_000_000)}M`;
  if (value >= 1_000) return `${trim(value / 1_000)}k`;
  return trim(value);
}

function trim(value: number): string {
  return String(Number(value.toPrecision(value >= 10 ? 3 : 2)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export function escape(content: string): string {
  return content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
