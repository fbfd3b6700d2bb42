import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GENEROUS_MS, eventually } from './eventually.js';
import { freePort } from './free-port.js';
import { PortTakenError, RedisProcess } from './redis-process.js';
import { askRedis, createTestClient, startRedis, type TestRedis, type TestRedisClient } from './redis.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

/** A master, its replicas and the sentinels that watch them: real processes, with everything a failover needs to go wrong. */
export interface TestSentinels extends AsyncDisposable {
  /** For `redis.sentinel`. */
  readonly address: { readonly name: string; readonly nodes: readonly { host: string; port: number }[] };
  /** The first is the master at the start. */
  readonly servers: readonly TestRedis[];
  readonly sentinels: readonly RedisProcess[];
  /** Between the first master and its replicas, if asked for: stall it, and what the master answers is lost with it. */
  readonly replication: TcpProxy | undefined;
  /** Who is master by the word of most sentinels. */
  master(): Promise<TestRedis>;
  /** Resolves with the new master once most sentinels name another one than `old`, and it calls itself master. */
  promoted(old: TestRedis): Promise<TestRedis>;
  /** Every replica that runs has what the master had at the call. */
  synced(): Promise<void>;
  /** `SENTINEL FAILOVER`: without a fault, and without loss. */
  failover(): Promise<void>;
}

export interface SentinelSettings {
  readonly replicas?: number;
  readonly sentinels?: number;
  /** How long a server may be silent before a sentinel calls it dead. Default: longer than any machine stands still. */
  readonly downAfterMs?: number;
  /** Replicas copy the first master through a proxy. */
  readonly proxied?: boolean;
  /** Of the sentinels, for their clients; for one sentinel, which talks to no other. */
  readonly password?: string;
  readonly args?: readonly string[];
}

const NAME = 'main';
const ATTEMPTS = 20;

export async function startSentinel(settings: SentinelSettings = {}): Promise<TestSentinels> {
  const dir = await mkdtemp(join(tmpdir(), 'redis-sentinel-'));
  const world = new ProcessSentinels(dir, settings);
  try {
    await world.form();
    return world;
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
}

class ProcessSentinels implements TestSentinels {
  readonly servers: TestRedis[] = [];
  readonly sentinels: RedisProcess[] = [];
  replication: TcpProxy | undefined;
  readonly #clients = new Map<number, TestRedisClient>();

  constructor(
    private readonly dir: string,
    private readonly settings: SentinelSettings,
  ) {}

  get address(): TestSentinels['address'] {
    return { name: NAME, nodes: this.sentinels.map(({ port }) => ({ host: '127.0.0.1', port })) };
  }

  async form(): Promise<void> {
    const { replicas = 2, sentinels = 3, proxied = false, args = [] } = this.settings;
    // A demoted master writes down what it copies: not into the working directory.
    const own = (index: number): string[] => ['--dir', this.dir, '--dbfilename', `server-${index}.rdb`, ...args];
    const first = await startRedis({ args: own(0) });
    this.servers.push(first);
    if (proxied) this.replication = await startTcpProxy({ port: first.port });
    for (let i = 0; i < replicas; i += 1) {
      this.servers.push(await startRedis({ replicaOf: this.replication?.port ?? first.port, args: own(i + 1) }));
    }
    await this.synced();
    for (let i = 0; i < sentinels; i += 1) this.sentinels.push(await this.#startSentinel(i, first.port));
    await eventually(async () => {
      for (const { port } of this.sentinels) {
        const known = await this.#known(port);
        if (known.sentinels !== sentinels - 1 || known.replicas !== replicas) {
          throw new Error(`sentinel ${port} knows ${JSON.stringify(known)}`);
        }
      }
    });
  }

  async master(): Promise<TestRedis> {
    return eventually(async () => {
      const votes = await Promise.all(this.sentinels.map(({ port }) => this.#masterPort(port)));
      const server = this.servers.find(({ port }) => votes.filter((vote) => vote === port).length * 2 > votes.length);
      if (server === undefined) throw new Error(`sentinels do not agree: ${votes.join(', ')}`);
      return server;
    });
  }

  async promoted(old: TestRedis): Promise<TestRedis> {
    return eventually(async () => {
      const server = await this.master();
      if (server === old) throw new Error('nobody was promoted');
      const [role] = (await this.#ask(server.port, 'ROLE')) as [string];
      if (role !== 'master') throw new Error(`${server.port} is a ${role}`);
      return server;
    });
  }

  async synced(): Promise<void> {
    const [master] = this.servers as [TestRedis];
    const current = this.sentinels.length === 0 ? master : await this.master();
    const field = (info: unknown, name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(String(info))?.[1];
    const goal = Number(field(await this.#ask(current.port, 'INFO', 'replication'), 'master_repl_offset'));
    for (const replica of this.servers.filter((server) => server !== current && server.canAnswer)) {
      await eventually(async () => {
        const info = await this.#ask(replica.port, 'INFO', 'replication');
        const isLinked = field(info, 'master_link_status') === 'up';
        if (!isLinked || Number(field(info, 'slave_repl_offset')) < goal)
          throw new Error(`${replica.port} has not all of ${goal}: ${String(info)}`);
      });
    }
  }

  async failover(): Promise<void> {
    const old = await this.master();
    await this.synced();
    await eventually(async () => {
      if ((await this.master()) !== old) return;
      // Asked again while one is in progress it refuses; one that took too long was given up, and nobody starts another.
      await this.#ask(this.sentinels[0]?.port ?? 0, 'SENTINEL', 'FAILOVER', NAME).catch((error: Error) => {
        throw new Error(`nobody was promoted: ${error.message}`);
      });
      throw new Error('nobody was promoted yet');
    });
    await this.promoted(old);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients.values()) if (client.isOpen) client.destroy();
    await Promise.all(this.sentinels.map((sentinel) => sentinel[Symbol.asyncDispose]()));
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
    await this.replication?.[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true, force: true });
  }

  async #startSentinel(index: number, masterPort: number): Promise<RedisProcess> {
    const { sentinels = 3, downAfterMs = GENEROUS_MS } = this.settings;
    const quorum = Math.floor(sentinels / 2) + 1;
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort();
      const file = join(this.dir, `sentinel-${index}.conf`);
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${this.dir}`,
        `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${quorum}`,
        `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
        // Twice this passes before a failed attempt is repeated; two sentinels that stand at once both fail.
        `sentinel failover-timeout ${NAME} 3000`,
        `sentinel parallel-syncs ${NAME} 2`,
        ...(this.settings.password === undefined ? [] : [`requirepass ${this.settings.password}`]),
      ];
      await writeFile(file, `${lines.join('\n')}\n`);
      const sentinel = new RedisProcess(port, [file, '--sentinel']);
      try {
        await sentinel.start();
        return sentinel;
      } catch (error) {
        if (attempt >= ATTEMPTS || !(error instanceof PortTakenError)) throw error;
      }
    }
  }

  async #masterPort(sentinelPort: number): Promise<number | undefined> {
    const reply = await this.#ask(sentinelPort, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME).catch(() => undefined);
    return Array.isArray(reply) ? Number(reply[1]) : undefined;
  }

  async #known(sentinelPort: number): Promise<{ sentinels: number; replicas: number }> {
    const [sentinels, replicas] = await Promise.all([
      this.#ask(sentinelPort, 'SENTINEL', 'SENTINELS', NAME),
      this.#ask(sentinelPort, 'SENTINEL', 'REPLICAS', NAME),
    ]);
    return { sentinels: (sentinels as unknown[]).length, replicas: (replicas as unknown[]).length };
  }

  async #ask(port: number, ...args: string[]): Promise<unknown> {
    const sentinel = this.sentinels.find((each) => each.port === port);
    const asked = sentinel ?? this.servers.find((each) => each.port === port);
    // A sentinel that still forms is in no list yet.
    if (asked?.canAnswer === false) throw new Error(`${port} was killed or paused: it cannot answer ${args.join(' ')}`);
    let client = this.#clients.get(port);
    if (client === undefined) {
      const url = `redis://127.0.0.1:${port}`;
      client = createTestClient(url, sentinel === undefined ? undefined : this.settings.password);
      client.on('error', () => undefined);
      this.#clients.set(port, client);
      await client.connect();
    }
    return askRedis({ port, client }, args);
  }
}
