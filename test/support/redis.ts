import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { GENEROUS_MS } from './eventually.js';
import { freePort } from './free-port.js';
import { PortTakenError, RedisProcess } from './redis-process.js';

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

/** A test that kills the server must not wait for its client; a command that finds no connection waits for the next one. */
export const createTestClient = (url: string, password?: string) =>
  createClient({
    url,
    socket: { reconnectStrategy: () => 50, connectTimeout: GENEROUS_MS },
    commandOptions: { timeout: GENEROUS_MS },
    ...(password === undefined ? {} : { password }),
  });

export type TestRedisClient = ReturnType<typeof createTestClient>;

export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Neither killed nor paused by the test. */
  readonly canAnswer: boolean;
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

/** A private server without persistence. Rejects if there is no redis-server (`REDIS_SERVER`, then PATH). */
export async function startRedis(options: RedisServerOptions = {}): Promise<TestRedis> {
  // What a replica copies is written there, too: not into the working directory.
  const dir = await mkdtemp(join(tmpdir(), 'redis-'));
  const files: ServerFiles = { args: argumentsOf(options, dir), dir };
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      const server = new RedisProcess(port, ['--port', String(port), ...files.args]);
      await server.start();
      return new PrivateRedis(server, files);
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
  readonly dir: string;
}

function argumentsOf(options: RedisServerOptions, dir: string): string[] {
  const { args = [], isPersistent = false, replicaOf } = options;
  // A replica is served at once: by default the master waits five seconds for more of them.
  const common = ['--bind', '127.0.0.1', '--save', '', '--repl-diskless-sync-delay', '0'];
  return [
    ...common,
    ...(isPersistent ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']),
    '--dir',
    dir,
    ...(replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', String(replicaOf)]),
    ...args,
  ];
}

async function removeFiles({ dir }: ServerFiles): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 3 });
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
  readonly port: number;
  readonly #clients: ClientPool;

  constructor(
    private readonly server: RedisProcess,
    private readonly files: ServerFiles,
  ) {
    this.port = server.port;
    this.url = `redis://127.0.0.1:${server.port}`;
    this.#clients = new ClientPool(this.url);
  }

  get canAnswer(): boolean {
    return this.server.canAnswer;
  }

  stop(): Promise<void> {
    return this.server.kill();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.server.start();
  }

  pause(): void {
    this.server.pause();
  }

  resume(): void {
    this.server.resume();
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

export interface Asked {
  /** For the message when no answer comes. */
  readonly port: number;
  readonly client: TestRedisClient;
}

/** Ends a hang only, and says whose answer is missing. For a server that the test has killed or paused nobody should wait. */
export async function askRedis({ port, client }: Asked, args: readonly string[]): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const says = (): void => reject(new Error(`${port} did not answer ${args.join(' ')} within ${GENEROUS_MS} ms`));
    timer = setTimeout(says, GENEROUS_MS);
  });
  return Promise.race([client.sendCommand([...args]), late]).finally(() => clearTimeout(timer));
}
