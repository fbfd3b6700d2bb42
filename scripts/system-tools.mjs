// Programs that no npm package ships: looked for in an environment variable, then on PATH, then installed with apt.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** @typedef {{ name: string, variable: string, programs: string[], aptPackage: string, why: string }} Tool */

/** @type {Record<'redis' | 'chromium' | 'nginx', Tool>} */
export const TOOLS = {
  redis: {
    name: 'Redis',
    variable: 'REDIS_SERVER',
    programs: ['redis-server'],
    aptPackage: 'redis-server',
    why: 'tests start private Redis servers of their own',
  },
  chromium: {
    name: 'Chromium',
    variable: 'CHROMIUM_PATH',
    programs: ['chromium', 'chromium-browser', 'google-chrome'],
    aptPackage: 'chromium',
    why: 'the browser tests drive the demo page',
  },
  nginx: {
    name: 'nginx',
    variable: 'NGINX_PATH',
    programs: ['nginx'],
    aptPackage: 'nginx',
    why: 'the deployment tests put it in front of the nodes',
  },
};

// Debian keeps servers in sbin, which an ordinary user's PATH leaves out.
const searchPath = () => [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'];

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function onPath(program) {
  return searchPath()
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

/** The program's path, or undefined. @param {Tool} tool */
export function find(tool) {
  const given = process.env[tool.variable];
  if (given) {
    if (isExecutable(given)) return given;
    throw new Error(`${tool.variable} is '${given}', which cannot be executed.`);
  }
  return tool.programs.map(onPath).find((path) => path !== undefined);
}

function run(command, args) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  return { isOk: result.status === 0, output: `${result.stdout ?? ''}${result.stderr ?? ''}` };
}

/** Installs with apt when that is possible without asking anyone. @param {Tool} tool */
function install(tool) {
  if (!onPath('apt-get')) return `there is no apt-get here`;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && !(onPath('sudo') && run('sudo', ['-n', 'true']).isOk))
    return 'apt-get needs root or a sudo without password';
  const apt = (...args) => (isRoot ? run('apt-get', args) : run('sudo', ['-n', 'apt-get', ...args]));
  console.log(`${tool.name} is missing: installing ${tool.aptPackage} with apt-get`);
  const args = ['install', '-y', '-qq', '--no-install-recommends', tool.aptPackage];
  let result = apt(...args);
  if (!result.isOk) {
    // A fresh image has no package lists.
    apt('update', '-qq');
    result = apt(...args);
  }
  return result.isOk ? undefined : result.output.trim().split('\n').slice(-5).join('\n');
}

/**
 * Finds the program, or installs it.
 * @param {Tool} tool
 * @throws {Error} that says what to do, when it is neither there nor installable
 */
export function findOrInstall(tool) {
  const found = find(tool);
  if (found) return found;
  const problem = install(tool);
  const installed = find(tool);
  if (installed) return installed;
  throw new Error(
    `${tool.name} was not found (${tool.why}) and could not be installed: ${problem ?? 'the package brought no program'}.\n` +
      `Install it (Debian: apt-get install ${tool.aptPackage}), or set ${tool.variable} to its path.`,
  );
}
