// What `npm test` and `npm run test:stress` share: the tools that tests need, the build, and how Jest is started.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { TOOLS, find, findOrInstall } from './system-tools.mjs';

export const root = join(import.meta.dirname, '..');

/** Of Jest, one more than there are cores: many tests wait for other processes, and none is judged by how long it waits. */
export const WORKERS = availableParallelism() + 1;

function hasSpecs(folder) {
  const path = join(root, folder);
  return existsSync(path) && readdirSync(path, { recursive: true }).some((name) => String(name).endsWith('.spec.ts'));
}

/** Paths of the programs, by the variables in which tests look. */
function provideTools(env) {
  // With a REDIS_URL the tests can do without a server program; the ones that kill servers say that they were skipped.
  const redis = env.REDIS_URL ? find(TOOLS.redis) : findOrInstall(TOOLS.redis);
  return {
    ...(redis ? { REDIS_SERVER: redis } : {}),
    ...(hasSpecs('test/browser') ? { CHROMIUM_PATH: findOrInstall(TOOLS.chromium) } : {}),
    ...(hasSpecs('test/deploy') ? { NGINX_PATH: findOrInstall(TOOLS.nginx) } : {}),
  };
}

function build(env) {
  const result = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, env, encoding: 'utf8' });
  if (result.status === 0) return;
  process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  console.error('The build failed, so no test ran.');
  process.exit(result.status ?? 1);
}

/** Finds the tools, builds, and gives the environment for Jest; ends the process, with the reason, when it cannot. */
export function setUp() {
  let env;
  try {
    env = { ...process.env, ...provideTools(process.env) };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
  build(env);
  return jestEnvironment(env);
}

export function jestEnvironment(env) {
  const nodeOptions = [env.NODE_OPTIONS, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  return { ...env, NODE_OPTIONS: nodeOptions.filter(Boolean).join(' ') };
}

/** Arguments of Node that run Jest with these. */
export const jest = (...args) => [join(root, 'node_modules/jest/bin/jest.js'), ...args];
