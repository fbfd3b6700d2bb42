import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, allPages, anchors, inCode, links, readPage, section, tableRows } from './markdown.js';
import { calls, createProgram } from './source.js';

const MAX_LINES = 150;
const readme = readPage('README.md');

interface PackageJson {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: object;
  readonly devDependencies?: object;
  readonly peerDependencies?: object;
}

function readPackage(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as PackageJson;
}

describe('when somebody reads the five files in their order', () => {
  const order = links(section(readme, '### Read these five files first')).filter((target) => target.endsWith('.ts'));

  it('finds five', () => expect(order).toHaveLength(5));

  it.each(order)('%s exists and has at most 150 lines', (file) => {
    expect(readPage(file).trimEnd().split('\n').length).toBeLessThanOrEqual(MAX_LINES);
  });

  it('sees each call the next', () => {
    const program = createProgram({}, order);
    const broken = order.slice(1).filter((file, index) => !calls(program, order[index] ?? '', file));
    expect(broken).toEqual([]);
  });
});

describe('when somebody follows a link', () => {
  const targets = allPages().flatMap((page) => links(readPage(page)).map((target) => ({ page, target })));

  it('finds links to follow', () => expect(targets.length).toBeGreaterThan(30));

  it('arrives, at the heading too', () => {
    const broken = targets.filter(({ page, target }) => !/^https?:/.test(target) && !resolves(page, target));
    expect(broken).toEqual([]);
  });
});

describe('when somebody runs what README says', () => {
  const scripts = Object.keys(readPackage('.').scripts ?? {});
  const named = allPages().flatMap((page) => [...readPage(page).matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name));

  it('finds each script', () => {
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !scripts.includes(name ?? ''))).toEqual([]);
    expect(scripts).toEqual(expect.arrayContaining(['start', 'test']));
  });
});

describe('when somebody asks what a dependency is for', () => {
  const text = section(readme, '## Dependencies');
  const client = inCode(
    text
      .split('\n')
      .filter((line) => line.startsWith('The client'))
      .join(' '),
  );
  const documented = new Set([
    ...tableRows(text).flatMap(([first = '']) => inCode(first)),
    ...inCode(/The client:[\s\S]*?\n\n/.exec(text)?.[0] ?? ''),
    ...client,
  ]);
  const packages = ['.', 'libs/realtime', 'libs/realtime-client', 'libs/realtime-protocol'].map(readPackage);
  const used = new Set(
    packages.flatMap((one) =>
      [one.dependencies, one.devDependencies, one.peerDependencies].flatMap((group) => Object.keys(group ?? {})),
    ),
  );

  it('finds each one', () => expect([...used].filter((name) => !documented.has(name))).toEqual([]));

  it('finds none that is gone', () => expect([...documented].filter((name) => !used.has(name))).toEqual([]));
});

describe('when somebody looks up what a folder may import', () => {
  it('reads what is enforced', async () => {
    const rules = (await import(pathToFileURL(join(ROOT, '.dependency-cruiser.mjs')).href)) as {
      LAYERS: Record<string, string[]>;
    };
    const rows = tableRows(section(readPage('docs/architecture.md'), '## Layers'));
    const documented = rows.map(([folder = '', , allowed = '']) => [
      inCode(folder)[0] ?? '',
      allowed === '–' ? [] : allowed.split(', '),
    ]);
    expect(Object.fromEntries(documented)).toEqual(rules.LAYERS);
  });
});

function resolves(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : normalize(join(dirname(page), path));
  if (!existsSync(join(ROOT, file))) return false;
  return anchor === undefined || anchors(readPage(file)).has(anchor);
}
