// `npm run test:nodes [-- 24 26] [-- jest arguments]`: all tests but chaos and browser on each of these Nodes, one after the
// other, and one line of counts for all of them. A Node on which tests fail does not keep the others from running.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { addUp, countsLine, runJest } from './jest-run.mjs';
import { root, setUp } from './test-set-up.mjs';

const FOLDER = join(root, 'test/nodes');
const CONFIG = join(root, 'scripts/jest/other-nodes.config.mjs');
/** What a Node that did not get to the end is counted as. */
const UNFINISHED = { passed: 0, failed: 1, skipped: 0 };

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Version and folder of each, by its major. */
function pinned() {
  const { dependencies } = read(join(FOLDER, 'package.json'));
  const entries = Object.entries(dependencies).map(([name, wanted]) => {
    const version = wanted.split('@').at(-1);
    return [version.split('.')[0], { version, folder: join(FOLDER, 'node_modules', name) }];
  });
  return new Map(entries);
}

/** Numbers first, then what is meant for Jest. */
function parseArguments(args, known) {
  const end = args.findIndex((arg) => !/^\d+$/.test(arg));
  const majors = end === -1 ? args : args.slice(0, end);
  const rest = end === -1 ? [] : args.slice(end);
  const unknown = majors.filter((major) => !known.includes(major));
  if (unknown.length > 0) throw new Error(`There is no Node ${unknown.join(', ')} here, only ${known.join(', ')}.`);
  return { majors: majors.length > 0 ? majors : known, jestArguments: rest[0] === '--' ? rest.slice(1) : rest };
}

function isInstalled({ version, folder }) {
  const path = join(folder, 'package.json');
  return existsSync(path) && read(path).version === version;
}

function install() {
  console.error('Installing the other Nodes, some 190 MB each');
  const args = ['ci', '--prefix', FOLDER, '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error('The other Nodes could not be installed.');
}

/** Programs that a test starts as `node`, such as those with a `#!` line, have to run on the same one. */
function testOn({ version, folder }, jestArguments, env) {
  const bin = join(folder, 'bin');
  console.error(`\nNode ${version}`);
  const { status, counts } = runJest(['--config', CONFIG, ...jestArguments], {
    env: { ...env, PATH: `${bin}${delimiter}${env.PATH}` },
    node: join(bin, 'node'),
  });
  return { status, counts: counts ?? UNFINISHED };
}

function main() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`The other Nodes are for linux x64, and this is ${process.platform} ${process.arch}.`);
  const nodes = pinned();
  const { majors, jestArguments } = parseArguments(process.argv.slice(2), [...nodes.keys()]);
  const chosen = majors.map((major) => nodes.get(major));
  if (!chosen.every(isInstalled)) install();
  const env = setUp();
  const runs = chosen.map((node) => ({ ...node, ...testOn(node, jestArguments, env) }));
  console.log();
  for (const { version, counts } of runs) console.log(`Node ${version}: ${countsLine(counts)}`);
  const sum = addUp(runs.map(({ counts }) => counts));
  console.log(countsLine(sum));
  process.exitCode = sum.passed > 0 && runs.every(({ status }) => status === 0) ? 0 : 1;
}

try {
  main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
