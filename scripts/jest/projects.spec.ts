import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');
const isSerial = (path: string): boolean => /\/test\/chaos\/|\.serial\.spec\.ts$/.test(path.slice(root.length));

async function filesOf(...projects: string[]): Promise<string[]> {
  const args = [join(root, 'node_modules/jest/bin/jest.js'), '--listTests', '--json', '--selectProjects', ...projects];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  return JSON.parse(stdout) as string[];
}

it('runs the files that need real seconds one at a time, and nowhere else', async () => {
  const serial = await filesOf('serial');
  expect(serial.length).toBeGreaterThan(0);
  expect(serial.filter((path) => !isSerial(path))).toEqual([]);
  const others = await filesOf('unit', 'nest12', 'nest11');
  expect(others.length).toBeGreaterThan(0);
  expect(others.filter(isSerial)).toEqual([]);
});
