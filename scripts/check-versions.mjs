// No installed copy of these packages may fall below the version that closed a known hole.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** Lowest version of each major line in use; a major that is not listed is refused. */
const FLOORS = {
  ws: ['8.23.0'],
  'engine.io': ['6.6.12'],
  'socket.io-parser': ['4.2.7'],
  'socket.io': ['4.8.3'],
  '@nestjs/core': ['11.2.4', '12.0.2'],
  jsonwebtoken: ['9.0.3'],
  jws: ['3.2.3', '4.0.1'],
  'class-validator': ['0.14.0'],
  'class-transformer': ['0.5.0'],
};

/** Copies that may be older, because they never read a frame from a client of ours. */
const EXCEPTIONS = [
  {
    path: /(^|\/)node_modules\/engine\.io\/node_modules\/ws$/,
    // engine.io pins ws 8.21, in which unread pongs pile up without bound. It serves with `wsEngine` instead of its own.
    why: 'engine.io is given the workspace copy as wsEngine',
    holds: () => passesWsEngine(),
  },
  {
    path: /(^|\/)node_modules\/engine\.io-client\/node_modules\/ws$/,
    why: 'the client side of a connection, in tests and load generators',
    holds: () => true,
  },
  {
    path: /(^|\/)node_modules\/socket\.io-adapter\/node_modules\/ws$/,
    why: 'used for its frame encoder alone, never to read',
    holds: () => true,
  },
];

function passesWsEngine() {
  const folder = join(root, 'libs/realtime/src/socketio');
  return readdirSync(folder, { recursive: true }).some(
    (name) => /(?<!\.spec)\.ts$/.test(name) && /\bwsEngine\b\s*[:,]/.test(readFileSync(join(folder, name), 'utf8')),
  );
}

const numbers = (version) => version.split('-')[0].split('.').map(Number);

function isAtLeast(version, floors) {
  const [major, minor, patch] = numbers(version);
  const lines = floors.map(numbers);
  // 0.x: a new minor is a new major line, and floors of 0.x mean "this or later".
  const line = lines.find(([floorMajor]) => floorMajor === major);
  if (!line) return false;
  return minor > line[1] || (minor === line[1] && patch >= line[2]);
}

const readLock = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));
const lock = readLock('package-lock.json');
const problems = [];
const seen = Object.fromEntries(Object.keys(FLOORS).map((name) => [name, 0]));

/** Where Node would look for a package that `path` asks for. */
function isLocked(path, name) {
  const parents = path.split('/node_modules/');
  for (let depth = parents.length; depth >= 1; depth -= 1)
    if (Object.hasOwn(lock.packages, `${parents.slice(0, depth).join('/node_modules/')}/node_modules/${name}`))
      return true;
  return Object.hasOwn(lock.packages, `node_modules/${name}`);
}

// Hosts in a lock file tie everybody to one registry; local links (`libs/realtime`) have none.
for (const { packages } of [lock, readLock('test/nodes/package-lock.json')])
  for (const [path, { resolved }] of Object.entries(packages))
    if (/^\w+:\/\//.test(resolved ?? '')) problems.push(`${path} names a host in "resolved"`);

for (const [path, entry] of Object.entries(lock.packages)) {
  // `npm install` skips a platform's package that its registry does not have; `npm ci` then refuses the whole file.
  for (const name of Object.keys(entry.optionalDependencies ?? {}))
    if (!isLocked(path, name)) problems.push(`${path} wants ${name}, which the lock file lacks: npm ci would fail`);
  const name = path.split('node_modules/').at(-1);
  if (!path.includes('node_modules/') || !Object.hasOwn(FLOORS, name)) continue;
  seen[name] += 1;
  if (isAtLeast(entry.version, FLOORS[name])) {
    console.log(`ok       ${path} ${entry.version}`);
    continue;
  }
  const exception = EXCEPTIONS.find((candidate) => candidate.path.test(path));
  if (exception?.holds()) console.log(`excused  ${path} ${entry.version}: ${exception.why}`);
  else
    problems.push(
      `${path} is ${entry.version}, below ${FLOORS[name].join(' / ')}` +
        (exception ? ` (it would be excused if this held: ${exception.why})` : ''),
    );
}
for (const [name, copies] of Object.entries(seen))
  if (copies === 0) problems.push(`no copy of ${name} in the lock file`);

for (const problem of problems) console.error(`PROBLEM  ${problem}`);
const copies = Object.values(seen).reduce((sum, count) => sum + count, 0);
console.log(`versions: saw ${copies} copies of ${Object.keys(FLOORS).length} packages; ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
