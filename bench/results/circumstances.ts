import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, platform, release } from 'node:os';
import { isPinning } from '../harness/cores.js';

/** What the numbers depend on. */
export interface Circumstances {
  readonly machine: string;
  readonly versions: string;
  readonly commit: string;
  readonly command: string;
  readonly date: string;
}

const PACKAGES = [
  '@nestjs/core',
  '@nestjs/platform-socket.io',
  'socket.io',
  'engine.io',
  'ws',
  'redis',
  '@socket.io/redis-adapter',
  '@socket.io/redis-streams-adapter',
];

export function circumstances(command: string): Circumstances {
  const [cpu] = cpus();
  const cores = `${cpus().length} cores${isPinning ? ', servers on one, load and Redis on the rest' : ''}`;
  return {
    machine: `${cpu?.model.trim() ?? 'unknown processor'}, ${cores}, ${platform()} ${release()}`,
    versions: [`Node ${process.versions.node}`, redisVersion(), ...PACKAGES.map((name) => `${name} ${versionOf(name)}`)]
      .filter((version) => version !== '')
      .join(', '),
    commit: commit(),
    command,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Seen from where the build lies; not every package lets `require` reach its package.json. */
function versionOf(name: string): string {
  const path = new URL(`../../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

function redisVersion(): string {
  const { stdout } = spawnSync(process.env['REDIS_SERVER'] ?? 'redis-server', ['--version'], { encoding: 'utf8' });
  const version = /v=([\d.]+)/.exec(stdout ?? '')?.[1];
  return version === undefined ? '' : `Redis ${version}`;
}

/** With a plus if files differ from it. */
function commit(): string {
  const git = (...args: string[]): string => spawnSync('git', args, { encoding: 'utf8' }).stdout?.trim() ?? '';
  const hash = git('rev-parse', '--short', 'HEAD');
  if (hash === '') return 'no commit';
  return git('status', '--porcelain', '--untracked-files=no', '--', 'libs', 'bench') === '' ? hash : `${hash}+`;
}
