// `npm run test:peers [-- oldest|newest] [-- jest arguments]`: the e2e and contract specs with the oldest, and with the newest
// versions that our packages' own ranges allow, of what an app brings along. Installed into a copy of the checkout.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addUp, countsLine } from './jest-run.mjs';
import { root, setUp } from './test-set-up.mjs';

const OURS = ['libs/realtime', 'libs/realtime-client', 'libs/realtime-protocol'];
/** Not asked for by name, but these are what Socket.IO and node-redis consist of. */
const PARTS = ['engine.io', 'socket.io-adapter', '@redis/client'];
const KINDS = ['oldest', 'newest'];

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const write = (path, content) => writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);

/** `^11.0.0 || ^12.0.0` means 11.0.0. Throws for what it can't read. */
function lowest(range) {
  const [, version] = /^[\^~]?(\d+\.\d+\.\d+)(\s|$)/.exec(range) ?? [];
  if (!version) throw new Error(`'${range}' has no lowest version that this script can read.`);
  return version;
}

/** Nest's other packages, which only specs use. Some 11.0.0 of them still ask for Nest 10. */
const companions = (kind, range) => (kind === 'oldest' ? `~${lowest(range)}` : range);

function choose(folder, kind) {
  const chosen = new Map();
  for (const path of OURS.map((name) => join(folder, name, 'package.json'))) {
    const manifest = read(path);
    for (const group of [manifest.dependencies, manifest.peerDependencies])
      for (const [name, range] of Object.entries(group ?? {})) {
        if (name.startsWith('nestjs-realtime')) continue;
        if (kind === 'oldest') group[name] = lowest(range);
        chosen.set(name, group[name]);
      }
    write(path, manifest);
  }
  return chosen;
}

function chooseForRoot(folder, kind, chosen) {
  const path = join(folder, 'package.json');
  const manifest = read(path);
  const nest = read(join(root, 'libs/realtime/package.json')).peerDependencies['@nestjs/core'];
  for (const group of [manifest.dependencies, manifest.devDependencies])
    for (const name of Object.keys(group))
      if (chosen.has(name)) group[name] = chosen.get(name);
      else if (name.startsWith('@nestjs/') && name !== '@nestjs/cli') group[name] = companions(kind, nest);
  manifest.overrides['socket.io'] = chosen.get('socket.io');
  manifest.workspaces = ['libs/*'];
  write(path, manifest);
}

/** The lock file would keep the versions that it has. For everything else it still does. */
function unlock(folder, chosen) {
  const path = join(folder, 'package-lock.json');
  const lock = read(path);
  const isFree = (name) => chosen.has(name) || name.startsWith('@nestjs/') || PARTS.includes(name);
  const isGone = ([key, { resolved }]) => key.startsWith('test/nest11') || resolved === 'test/nest11';
  for (const entry of Object.entries(lock.packages))
    if (isGone(entry) || isFree(entry[0].split('node_modules/').at(-1))) delete lock.packages[entry[0]];
  write(path, lock);
}

/** What was built with the versions of the lock file, too: that is what apps get, whatever they bring along. */
function copyInto(folder) {
  const options = { cwd: root, encoding: 'utf8' };
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], options);
  for (const file of files.split('\0'))
    if (file !== '' && existsSync(join(root, file))) cpSync(join(root, file), join(folder, file));
  for (const path of ['.', ...OURS].map((name) => join(name, 'dist')))
    cpSync(join(root, path), join(folder, path), { recursive: true });
}

function install(folder) {
  // Each peer is named at the root; npm would look for a way to satisfy what the lock file no longer says.
  const args = ['install', '--legacy-peer-deps', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error('The packages could not be installed.');
}

/** In the copy, so that everything is resolved there. */
function testIn(folder, jestArguments, env) {
  const report = join(folder, 'counts.json');
  spawnSync(process.execPath, [join(folder, 'scripts/jest/run-peers.mjs'), report, ...jestArguments], {
    cwd: folder,
    env,
    stdio: 'inherit',
  });
  return existsSync(report) ? read(report) : { passed: 0, failed: 1, skipped: 0 };
}

function run(kind, jestArguments, env) {
  const folder = mkdtempSync(join(tmpdir(), `nestjs-realtime-${kind}-`));
  try {
    console.error(`\nInstalling the ${kind} versions`);
    copyInto(folder);
    const chosen = choose(folder, kind);
    chooseForRoot(folder, kind, chosen);
    unlock(folder, chosen);
    install(folder);
    const shown = ['socket.io', ...Object.keys(read(join(folder, OURS[0], 'package.json')).peerDependencies)];
    const versions = shown.map((name) => `${name} ${read(join(folder, 'node_modules', name, 'package.json')).version}`);
    console.error(versions.join(', '));
    return { kind, versions, counts: testIn(folder, jestArguments, env) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const args = process.argv.slice(2);
const kinds = KINDS.includes(args[0]) ? [args.shift()] : KINDS;
if (args[0] === '--') args.shift();
const env = setUp();
const runs = kinds.map((kind) => run(kind, args, env));
console.log();
for (const { kind, versions, counts } of runs) console.log(`${kind} (${versions.join(', ')}): ${countsLine(counts)}`);
const sum = addUp(runs.map(({ counts }) => counts));
console.log(countsLine(sum));
process.exitCode = sum.passed > 0 && sum.failed === 0 ? 0 : 1;
