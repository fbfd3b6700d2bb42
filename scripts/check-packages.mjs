// Whether the packages can be used by those who install them: publint on each, and on what the client's types resolve to
// in each kind of module resolution (are-the-types-wrong). Needs the build.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const root = fileURLToPath(new URL('..', import.meta.url));
const packages = readdirSync(`${root}libs`);
let problems = 0;

for (const name of packages) {
  const pkgDir = `${root}libs/${name}`;
  const { messages, pkg } = await publint({ pkgDir, strict: true });
  for (const message of messages) console.error(`${pkg.name}: ${formatMessage(message, pkg)}`);
  problems += messages.length;
  console.log(`publint: ${pkg.name}, ${messages.length} problems`);
}

// ESM only, so CommonJS and the resolution of before 2021 cannot be asked for; both say so to their users.
const attw = ['--no-install', 'attw', '--pack', '--profile', 'esm-only', '--format', 'ascii', '--no-emoji'];
for (const name of ['realtime-client', 'realtime-protocol']) {
  try {
    execFileSync('npx', attw, { cwd: `${root}libs/${name}`, stdio: ['ignore', 'pipe', 'pipe'] });
    console.log(`are-the-types-wrong: ${name}, 0 problems`);
  } catch (error) {
    problems += 1;
    console.error(String(error.stdout ?? error));
  }
}

console.log(`packages: saw ${packages.length}; ${problems} problems`);
if (packages.length < 3 || problems > 0) process.exitCode = 1;
