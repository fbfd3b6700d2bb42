// `npm run client:check` (after a build): what the client costs in a browser. One bundle of its own modules and the
// protocol's, without socket.io-client, minified and gzipped; no Node built-in in it; what is not used falls out of it.
import { readFileSync, readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { minify } from '@swc/core';

const MAX_GZIP_BYTES = 8_000;
/** What a page imports only if it wants it. */
const MAX_MORE_BYTES = { presenceOf: 800, storedOutbox: 900, storedPositions: 850 };
/** An app that only names the error class must not pay for the client. */
const MAX_UNUSED_SHARE = 0.25;
const MIN_MODULES = 20;

const root = join(import.meta.dirname, '..');
const CLIENT = join(root, 'libs/realtime-client/dist');
const PROTOCOL = join(root, 'libs/realtime-protocol/dist');
const IMPORT = /^(?:import|export)\s+(?:[\w*{}\s,$]+?\s+from\s+)?['"]([^'"]+)['"];?$/gm;
const NODE_GLOBALS = /\b(?:process|Buffer|require|__dirname|__filename|setImmediate)\b/;
const problems = [];

function resolve(specifier, from) {
  if (specifier === 'nestjs-realtime-protocol') return join(PROTOCOL, 'index.js');
  return specifier.startsWith('.') ? join(dirname(from), specifier) : undefined;
}

/** Every module after what it imports. */
function collect(path, seen = new Map(), external = new Set()) {
  if (seen.has(path)) return { seen, external };
  const code = readFileSync(path, 'utf8').replace(/\/\/# sourceMappingURL=.*/, '');
  seen.set(path, undefined);
  for (const [, specifier] of code.matchAll(IMPORT)) {
    const target = resolve(specifier, path);
    if (target) collect(target, seen, external);
    else external.add(specifier);
  }
  seen.delete(path);
  seen.set(path, code);
  return { seen, external };
}

/** All modules are bundled into one scope: no two may have the same top-level name. */
function findClashes(seen) {
  const names = [...seen.values()].flatMap((code) =>
    [...code.matchAll(/^(?:export )?(?:async )?(?:class|function|const|let) (\w+)/gm)].map(([, name]) => name),
  );
  return names.filter((name, index) => names.indexOf(name) !== index);
}

async function bundle(seen, kept) {
  const body = [...seen.values()].map((code) =>
    code.replace(IMPORT, '').replace(/^export (?=(?:async )?(?:class|function|const|let) )/gm, ''),
  );
  const externals = `import { io } from 'socket.io-client';`;
  const source = `${externals}\n${body.join('\n')}\nexport { ${kept.join(', ')} };`;
  const options = { module: true, compress: { toplevel: true, passes: 3 }, mangle: { toplevel: true }, ecma: 2022 };
  return (await minify(source, options)).code;
}

const { seen, external } = collect(join(CLIENT, 'index.js'));
const foreign = [...external].filter((name) => name !== 'socket.io-client');
if (foreign.length > 0) problems.push(`the client imports ${foreign.join(', ')}`);
const builtins = foreign.filter((name) => name.startsWith('node:') || builtinModules.includes(name));
if (builtins.length > 0) problems.push(`Node built-ins: ${builtins.join(', ')}`);
for (const name of findClashes(seen)) problems.push(`two modules have a ${name}`);
if (seen.size < MIN_MODULES) problems.push(`saw only ${seen.size} modules`);

const BASE = ['createRealtimeClient', 'RealtimeClient', 'RealtimeClientError'];
const whole = await bundle(seen, BASE);
const gzipped = (code) => gzipSync(code, { level: 9 }).length;
const size = gzipped(whole);
const more = {};
for (const [name, most] of Object.entries(MAX_MORE_BYTES)) {
  more[name] = gzipped(await bundle(seen, [...BASE, name])) - size;
  if (more[name] > most) problems.push(`${name} costs ${more[name]} bytes, more than ${most}`);
}
const everything = gzipped(await bundle(seen, [...BASE, ...Object.keys(MAX_MORE_BYTES)]));
const unused = gzipped(await bundle(seen, ['RealtimeClientError']));
if (NODE_GLOBALS.test(whole)) problems.push(`a Node global: ${NODE_GLOBALS.exec(whole)[0]}`);
if (size > MAX_GZIP_BYTES) problems.push(`${size} bytes gzipped are more than ${MAX_GZIP_BYTES}`);
if (unused > size * MAX_UNUSED_SHARE) problems.push(`tree-shaking leaves ${unused} bytes of ${size}`);
for (const name of ['realtime-client', 'realtime-protocol']) {
  const manifest = JSON.parse(readFileSync(join(root, 'libs', name, 'package.json'), 'utf8'));
  if (manifest.sideEffects !== false) problems.push(`${name}: "sideEffects" is not false`);
  if (manifest.type !== 'module') problems.push(`${name}: "type" is not module`);
}
const typed = readdirSync(CLIENT).filter((name) => name.endsWith('.d.ts')).length;
if (typed < MIN_MODULES) problems.push(`only ${typed} files with types`);

const extras = Object.entries(more).map(([name, bytes]) => `${name} ${bytes} more`);
console.log(
  `client: ${seen.size} modules, ${whole.length} bytes minified, ${size} gzipped (at most ${MAX_GZIP_BYTES}); ` +
    `${extras.join(', ')}; everything ${everything}; the error class alone ${unused}`,
);
for (const problem of problems) console.error(`client: ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
