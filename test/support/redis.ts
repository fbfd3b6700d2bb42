import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';

/**
 * Real Redis servers for tests: private ones that a test may kill, stop and restart, and one shared by suites that only
 * need a key prefix. Nothing is ever flushed and no port is fixed.
 */
export interface RedisServerOptions {
  /** More arguments of redis-server, for example `['--maxmemory', '2mb']`. */
  args?: readonly string[];
  /** Every write is on disk before it is answered (AOF): `restart()` comes back with the data, also after a SIGKILL. */
  isPersistent?: boolean;
  /** Port of the master that this one copies: the master's own, or a proxy's in front of it. */
  replicaOf?: number;
}

// A test that kills the server must not wait for its client.
const createTestClient = (url: string) => createClient({ url, socket: { reconnectStrategy: () => 50 } });

export type TestRedisClient = ReturnType<typeof createTestClient>;

export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** SIGKILL: every connection breaks, nothing is saved. */
  stop(): Promise<void>;
  /** Starts again on the same port: empty, or with the data of a persistent one. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and say nothing. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** A connected client, closed with the server's disposal. */
  client(): Promise<TestRedisClient>;
}

const ATTEMPTS = 20;
const READY_WITHIN_MS = 10_000;

const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A private server without persistence. Rejects if there is no redis-server (`REDIS_SERVER`, then PATH). */
export async function startRedis(options: RedisServerOptions = {}): Promise<TestRedis> {
  const dir = options.isPersistent || options.replicaOf ? await mkdtemp(join(tmpdir(), 'redis-')) : undefined;
  const files: ServerFiles = { args: argumentsOf(options, dir), dir };
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      return new PrivateRedis(port, files, await launch(port, files));
    } catch (error) {
      if (attempt < ATTEMPTS && error instanceof PortTakenError) continue;
      await removeFiles(files);
      throw error;
    }
  }
}

interface ServerFiles {
  readonly args: readonly string[];
  /** Its own, removed with it. */
  readonly dir: string | undefined;
}

function argumentsOf(options: RedisServerOptions, dir: string | undefined): string[] {
  const { args = [], isPersistent = false, replicaOf } = options;
  // A replica is served at once: by default the master waits five seconds for more of them.
  const common = ['--bind', '127.0.0.1', '--save', '', '--repl-diskless-sync-delay', '0'];
  return [
    ...common,
    ...(isPersistent ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']),
    ...(dir === undefined ? [] : ['--dir', dir]),
    ...(replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', String(replicaOf)]),
    ...args,
  ];
}

async function removeFiles({ dir }: ServerFiles): Promise<void> {
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
}

export interface SharedRedis extends AsyncDisposable {
  readonly url: string;
  /** Random, so that suites do not meet. Delete nothing: let keys expire or leave them. */
  readonly prefix: string;
  client(): Promise<TestRedisClient>;
}

/** The server at `REDIS_URL`, else a private one; with a random key prefix. */
export async function sharedRedis(): Promise<SharedRedis> {
  const prefix = `t${randomBytes(6).toString('hex')}:`;
  const url = process.env['REDIS_URL'];
  if (url === undefined || url === '') {
    const server = await startRedis();
    return Object.assign(server, { prefix });
  }
  const clients = new ClientPool(url);
  return { url, prefix, client: () => clients.connect(), [Symbol.asyncDispose]: () => clients.close() };
}

class PortTakenError extends Error {}

class ClientPool {
  readonly #clients: TestRedisClient[] = [];
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async connect(): Promise<TestRedisClient> {
    const client = createTestClient(this.#url);
    // A test that kills the server expects these; what matters is asserted on the code under test.
    client.on('error', () => undefined);
    this.#clients.push(client);
    await client.connect();
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) if (client.isOpen) client.destroy();
    await Promise.resolve();
  }
}

class PrivateRedis implements TestRedis {
  readonly url: string;
  readonly #clients: ClientPool;
  #child: ChildProcess | undefined;

  constructor(
    readonly port: number,
    private readonly files: ServerFiles,
    child: ChildProcess,
  ) {
    this.#child = child;
    this.url = `redis://127.0.0.1:${port}`;
    this.#clients = new ClientPool(this.url);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#child = await launch(this.port, this.files);
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  client(): Promise<TestRedisClient> {
    return this.#clients.connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clients.close();
    await this.stop();
    await removeFiles(this.files);
  }
}

async function launch(port: number, { args }: ServerFiles): Promise<ChildProcess> {
  const binary = process.env['REDIS_SERVER'] ?? 'redis-server';
  const child = spawn(binary, ['--port', String(port), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let output = '';
  const collect = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-4_000));
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);

  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new Error(`cannot run ${binary}: ${error.message}`)));
    child.once('exit', () => {
      const isTaken = /address already in use/i.test(output);
      reject(isTaken ? new PortTakenError(output) : new Error(`redis-server ended at once:\n${output}`));
    });
  });
  failed.catch(() => undefined);
  await Promise.race([failed, answersPing(port)]);
  child.removeAllListeners('error');
  child.on('error', () => undefined);
  return child;
}

async function answersPing(port: number): Promise<void> {
  const endsAt = performance.now() + READY_WITHIN_MS;
  while (!(await ping(port))) {
    if (performance.now() > endsAt) throw new Error(`redis-server on port ${port} does not answer`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.once('data', (reply) => {
      resolve(reply.toString().startsWith('+PONG'));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
