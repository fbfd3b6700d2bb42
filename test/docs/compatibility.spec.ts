import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, readPage, section, tableRows } from './markdown.js';

interface PackageJson {
  readonly engines?: { readonly node?: string };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

function readPackage(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as PackageJson;
}

/** What the rows of one thing say is supported; the first cell of its further rows is empty. */
function supported(what: string): string[] {
  const rows = tableRows(section(readPage('README.md'), '## Compatibility'));
  const first = rows.findIndex(([name]) => name === what);
  const next = rows.findIndex(([name], index) => index > first && name !== '');
  return rows.slice(first, next === -1 ? undefined : next).map(([, versions = '']) => versions);
}

const majors = (texts: readonly string[]): string[] => texts.flatMap((text) => text.match(/\d+/g) ?? []).sort();

describe('when somebody looks up what the library runs on', () => {
  const library = readPackage('libs/realtime');

  it('finds the lowest Node, and the ones that the suite is run on', () => {
    const [floor = '', others = ''] = supported('Node');
    const pinned = Object.values(readPackage('test/nodes').dependencies ?? {});
    expect(pinned.length).toBeGreaterThan(0);
    expect(majors([others])).toEqual(pinned.map((wanted) => /@(\d+)\.\d+\.\d+$/.exec(wanted)?.[1]).sort());
    const packages = ['.', 'libs/realtime', 'libs/realtime-client', 'libs/realtime-protocol'];
    const lowest = `>=${floor.split(' ')[0]}`;
    expect(packages.map((folder) => readPackage(folder).engines?.node)).toEqual(packages.map(() => lowest));
  });

  it('finds each Nest', () => {
    const range = library.peerDependencies?.['@nestjs/core'] ?? '';
    expect(majors(supported('Nest'))).toEqual(range.split(' || ').map((one) => /\d+/.exec(one)?.[0]));
  });

  it('finds the lowest Socket.IO', () => {
    const lowest = (library.dependencies?.['socket.io'] ?? '').slice(1);
    expect(supported('Socket.IO').join(' ')).toContain(`from ${lowest} on`);
  });
});
