import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RealtimeError } from 'nestjs-realtime';
import { CLIENT_EVENTS, REALTIME_CODES, SERVER_EVENTS } from 'nestjs-realtime-protocol';
import { PromMetrics } from 'nestjs-realtime/metrics';
import { Registry } from 'prom-client';
import { ROOT, inCode, readPage, rowNames, section, tableRows } from './markdown.js';
import { createProgram, optionsOf, type DocumentedOption } from './source.js';

const LIBRARY = 'libs/realtime/src';

const OPTION_SETS = [
  { heading: '## RealtimeModule', file: `${LIBRARY}/realtime.options.ts`, type: 'RealtimeOptions', least: 60 },
  { heading: '## RoomPolicy', file: `${LIBRARY}/rooms/room-policy.ts`, type: 'RoomPolicyOptions', least: 4 },
  {
    heading: '## RealtimeHealthModule',
    file: `${LIBRARY}/health/realtime-health.module.ts`,
    type: 'RealtimeHealthOptions',
    least: 4,
  },
  {
    heading: '## RealtimeMetricsModule',
    file: `${LIBRARY}/metrics/realtime-metrics.module.ts`,
    type: 'RealtimeMetricsOptions',
    least: 3,
  },
  {
    heading: '## RealtimeCluster',
    file: `${LIBRARY}/processes/cluster-options.ts`,
    type: 'RealtimeClusterOptions',
    least: 10,
  },
];

const program = createProgram(
  {},
  OPTION_SETS.map(({ file }) => file),
);

describe.each(OPTION_SETS)('when somebody looks up the options of $type', ({ heading, file, type, least }) => {
  const options = optionsOf(program, file, type);
  const rows = tableRows(section(readPage('docs/reference/options.md'), heading));
  const documented = rows.map(([first = '']) => inCode(first)[0] ?? '');

  it('sees the interface whole', () => expect(options.length).toBeGreaterThanOrEqual(least));

  it('finds every one of them', () => {
    const missing = options.filter(({ name, isGroup }) => !isGroup && !documented.includes(name));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  it('finds none that is gone, and none twice', () => {
    const names = options.map(({ name }) => name);
    expect(documented.filter((name) => !names.includes(name))).toEqual([]);
    expect(documented.filter((name, index) => documented.indexOf(name) !== index)).toEqual([]);
  });

  it('reads the default that the source states, and what 0 means', () => {
    const empty = rows.filter((row) => row.length !== 4 || row.some((cell) => cell === ''));
    expect(empty).toEqual([]);
    const defaults = new Map(rows.map(([first = '', cell = '']) => [inCode(first)[0], numberIn(cell)]));
    const wrong = options
      .map((option) => ({ name: option.name, source: defaultOf(option), page: defaults.get(option.name) }))
      .filter(({ source, page }) => source !== undefined && source !== page);
    expect(wrong).toEqual([]);
  });
});

describe('when somebody looks up a code', () => {
  const rows = tableRows(readPage('docs/reference/codes.md'));
  const codes = Object.keys(REALTIME_CODES);

  it('finds each of them, once, and no other', () => {
    expect(rows.map(([first = '']) => inCode(first)[0])).toEqual(codes);
  });

  it.each(codes)('reads whether %s may be tried again', (code) => {
    const [, retryable = ''] = rows.find(([first = '']) => first === `\`${code}\``) ?? [];
    expect(retryable.startsWith('yes')).toBe(new RealtimeError(code).retryable);
  });

  it('reads the same list in README', () => {
    const [list = ''] = section(readPage('README.md'), '## Codes').split('–');
    expect(inCode(list)).toEqual(codes);
  });
});

describe('when somebody looks up a metric', () => {
  const page = readPage('docs/reference/metrics.md');
  const registry = new Registry();
  new PromMetrics(registry).watchEventLoop(() => 0);

  it('finds each that is registered, with its type and labels, and no other', async () => {
    const metrics = registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[];
    const types = new Map((await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]));
    const registered = metrics.map(({ name, labelNames }) => `${name} ${types.get(name)} ${labelNames.join(' ')}`);
    const [first = ''] = page.split('## Kinds of drops');
    const documented = tableRows(first).map(
      ([name = '', type = '', labels = '']) => `${inCode(name)[0]} ${type} ${inCode(labels).join(' ')}`,
    );
    expect(registered.length).toBeGreaterThanOrEqual(19);
    expect(documented.sort()).toEqual(registered.sort());
  });

  it('finds every kind of drop that the source counts, and no other', () => {
    const kinds = new Set(
      sources().flatMap((text) => [...text.matchAll(/dropped\('([\w-]+)'\)/g)].map(([, kind]) => kind)),
    );
    expect(kinds.size).toBeGreaterThan(10);
    expect(rowNames(section(page, '## Kinds of drops')).sort()).toEqual([...kinds].sort());
  });
});

describe('when somebody looks up a wire event', () => {
  const page = readPage('docs/reference/events.md');

  it.each([
    { heading: '## From the server', events: SERVER_EVENTS },
    { heading: '## From the client', events: CLIENT_EVENTS },
  ])('finds each one $heading, and no other', ({ heading, events }) => {
    expect(rowNames(section(page, heading)).sort()).toEqual(Object.values(events).sort());
  });
});

/** The first number after `@default` or `Default`, written with `_`, spaces or neither. */
function defaultOf({ comment }: DocumentedOption): number | undefined {
  const [, text] = /(?:@default|Default:?) ([\d_ ]*\d)/.exec(comment) ?? [];
  return text === undefined ? undefined : Number(text.replace(/\D/g, ''));
}

function numberIn(cell: string): number | undefined {
  const [text] = /^\d[\d ]*/.exec(cell) ?? [];
  return text === undefined ? undefined : Number(text.replaceAll(' ', ''));
}

function sources(): string[] {
  const files = readdirSync(join(ROOT, LIBRARY), { recursive: true }).map(String);
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
    .map((file) => readFileSync(join(ROOT, LIBRARY, file), 'utf8'));
}
