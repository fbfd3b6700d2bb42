import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createClient } from 'redis';
import { pinned } from './cores.js';

/** What the server has done since it was started. */
export interface RedisWork {
  /** Commands of clients and those that scripts call, without this bench's own. */
  readonly commands: number;
  /** Microseconds, user and system. */
  readonly cpu: number;
  /** Reads of logs: XRANGE, XREVRANGE. */
  readonly logReads: number;
  readonly bytesOut: number;
}

export interface BenchRedis extends AsyncDisposable {
  readonly url: string;
  work(): Promise<RedisWork>;
}

/** A private redis-server without persistence (`REDIS_SERVER`, then PATH). */
export async function startRedis(): Promise<BenchRedis> {
  const port = await freePort();
  const [program, ...args] = pinned('rest', process.env['REDIS_SERVER'] ?? 'redis-server');
  const server = spawn(
    program,
    [...args, '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const isReady = new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.once('exit', () => resolve(false));
    server.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('Ready to accept connections')) resolve(true);
    });
  });
  if (!(await isReady))
    throw new Error('cannot start redis-server (REDIS_SERVER, then PATH); or leave it out: --no-redis');
  const url = `redis://127.0.0.1:${port}`;
  const client = await createClient({ url }).connect();
  return {
    url,
    work: async () => readWork(await client.info('all')),
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      const exit = once(server, 'exit');
      server.kill('SIGKILL');
      await exit;
    },
  };
}

export function workBetween(before: RedisWork, after: RedisWork): RedisWork {
  return {
    commands: after.commands - before.commands,
    cpu: after.cpu - before.cpu,
    logReads: after.logReads - before.logReads,
    bytesOut: after.bytesOut - before.bytesOut,
  };
}

/** Lines like `cmdstat_xrange:calls=12,usec=…`. */
function readWork(info: string): RedisWork {
  const calls = new Map(
    [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', count]) => [name, Number(count)]),
  );
  calls.delete('info');
  const cpuSeconds = [...info.matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)].map(([, seconds]) => Number(seconds));
  return {
    commands: sum([...calls.values()]),
    cpu: sum(cpuSeconds) * 1_000_000,
    logReads: (calls.get('xrange') ?? 0) + (calls.get('xrevrange') ?? 0),
    bytesOut: Number(/^total_net_output_bytes:(\d+)/m.exec(info)?.[1]),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
