import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GENEROUS_MS, eventually } from './eventually.js';
import { askRedis, startRedis, type TestRedis, type TestRedisClient } from './redis.js';

/**
 * A Redis Cluster of real processes: every slot on one of the masters, replicas of each if asked for. For what only
 * several masters show: keys of one script in two slots, messages that cross the cluster bus, slots and masters that move.
 */
export interface TestRedisCluster extends AsyncDisposable {
  readonly masters: readonly TestRedis[];
  /** `replicas[i]` copies `masters[i]`. */
  readonly replicas: readonly TestRedis[];
  /** For `redis.cluster.nodes`. */
  readonly nodes: readonly { host: string; port: number }[];
  /** The server that serves the key's slot now, among all that run. */
  ownerOf(key: string): Promise<TestRedis>;
  /** The slot's number, by Redis' own account. */
  slotOf(key: string): Promise<number>;
  /** Opens the migration of a slot: from now on keys may be on either side. */
  beginMigration(slot: number, from: TestRedis, to: TestRedis): Promise<void>;
  /** Moves the slot's keys that are there now, one batch, by MIGRATE; resolves with how many. */
  moveKeys(slot: number, from: TestRedis, to: TestRedis, batch?: number): Promise<number>;
  /** Gives the slot to `to`, on every server. */
  endMigration(slot: number, to: TestRedis): Promise<void>;
  /** All of it, under whatever traffic there is. */
  migrateSlot(slot: number, from: TestRedis, to: TestRedis): Promise<void>;
  /** Every running server says that all slots are served, and agrees on by whom. */
  settled(): Promise<void>;
}

export interface RedisClusterSettings {
  readonly masters?: number;
  /** Of each master. */
  readonly replicas?: 0 | 1;
  /** How long a server may be silent before the others call it dead. Default: longer than any machine stands still. */
  readonly nodeTimeoutMs?: number;
  readonly args?: readonly string[];
}

const SLOTS = 16_384;

export async function startRedisCluster(settings: RedisClusterSettings = {}): Promise<TestRedisCluster> {
  const { masters = 3, replicas = 0 } = settings;
  const dir = await mkdtemp(join(tmpdir(), 'redis-cluster-'));
  const cluster = new ProcessRedisCluster(dir, settings);
  try {
    await cluster.form(masters, masters * replicas);
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

class ProcessRedisCluster implements TestRedisCluster {
  readonly masters: TestRedis[] = [];
  readonly replicas: TestRedis[] = [];
  readonly #clients = new Map<TestRedis, TestRedisClient>();
  #started = 0;

  constructor(
    private readonly dir: string,
    private readonly settings: RedisClusterSettings,
  ) {}

  get nodes(): { host: string; port: number }[] {
    return this.#all.map(({ port }) => ({ host: '127.0.0.1', port }));
  }

  get #all(): TestRedis[] {
    return [...this.masters, ...this.replicas];
  }

  async form(masters: number, replicas: number): Promise<void> {
    for (let i = 0; i < masters; i += 1) this.masters.push(await this.#start());
    for (let i = 0; i < replicas; i += 1) this.replicas.push(await this.#start());
    const [first] = this.masters as [TestRedis];
    for (const [index, master] of this.masters.entries()) {
      // Epochs of their own from the start: masters that meet with the same one need time to settle it.
      await this.#ask(master, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      const from = Math.floor((index * SLOTS) / masters);
      const to = Math.floor(((index + 1) * SLOTS) / masters) - 1;
      await this.#ask(master, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    }
    for (const other of this.#all.slice(1)) await this.#meet(first, other);
    await eventually(async () => {
      for (const server of this.#all) {
        const { length } = String(await this.#ask(server, 'CLUSTER', 'NODES'))
          .trim()
          .split('\n');
        if (length !== this.#all.length) throw new Error(`${length} of ${this.#all.length} servers know each other`);
      }
    });
    for (const [index, replica] of this.replicas.entries()) {
      await this.#ask(replica, 'CLUSTER', 'REPLICATE', await this.#idOf(this.masters[index % masters] as TestRedis));
    }
    await this.settled();
    for (const replica of this.replicas) await this.#untilCopying(replica);
  }

  async ownerOf(key: string): Promise<TestRedis> {
    const slot = await this.slotOf(key);
    for (const server of this.#running()) {
      const line = String(await this.#ask(server, 'CLUSTER', 'NODES'))
        .split('\n')
        .find((text) => text.includes('myself'));
      const [, , flags = '', , , , , , ...ranges] = (line ?? '').split(' ');
      if (flags.includes('master') && ranges.some((range) => holds(range, slot))) return server;
    }
    throw new Error(`nobody serves slot ${slot}`);
  }

  async slotOf(key: string): Promise<number> {
    const [any] = this.#running() as [TestRedis];
    return Number(await this.#ask(any, 'CLUSTER', 'KEYSLOT', key));
  }

  async beginMigration(slot: number, from: TestRedis, to: TestRedis): Promise<void> {
    await this.#ask(to, 'CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', await this.#idOf(from));
    await this.#ask(from, 'CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', await this.#idOf(to));
  }

  async moveKeys(slot: number, from: TestRedis, to: TestRedis, batch = 10): Promise<number> {
    const keys = (await this.#ask(from, 'CLUSTER', 'GETKEYSINSLOT', String(slot), String(batch))) as string[];
    if (keys.length > 0) {
      const target = ['127.0.0.1', String(to.port), '', '0', String(GENEROUS_MS), 'REPLACE', 'KEYS'];
      await this.#ask(from, 'MIGRATE', ...target, ...keys);
    }
    return keys.length;
  }

  async endMigration(slot: number, to: TestRedis): Promise<void> {
    const id = await this.#idOf(to);
    // The new owner first: asked the other way round, both would send clients to each other.
    const others = this.#running().filter((server) => server !== to && this.masters.includes(server));
    for (const server of [to, ...others]) await this.#ask(server, 'CLUSTER', 'SETSLOT', String(slot), 'NODE', id);
  }

  async migrateSlot(slot: number, from: TestRedis, to: TestRedis): Promise<void> {
    await this.beginMigration(slot, from, to);
    while ((await this.moveKeys(slot, from, to)) > 0);
    await this.endMigration(slot, to);
  }

  async settled(): Promise<void> {
    await eventually(async () => {
      const views = new Set<string>();
      for (const server of this.#running()) {
        const info = String(await this.#ask(server, 'CLUSTER', 'INFO'));
        if (!info.includes('cluster_state:ok')) throw new Error(`${server.port}: ${info}`);
        const nodes = String(await this.#ask(server, 'CLUSTER', 'NODES'));
        const isLinked = nodes
          .trim()
          .split('\n')
          .every((line) => / connected\b/.test(line) || / fail\b|,fail\b/.test(line));
        if (!isLinked) throw new Error(`${server.port}: ${nodes}`);
        const slots = (await this.#ask(server, 'CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
        views.add(JSON.stringify(slots.map(([from, to, [, port]]) => [from, to, port]).sort((a, b) => a[0]! - b[0]!)));
      }
      if (views.size !== 1) throw new Error(`servers see different owners: ${[...views].join(' | ')}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#all.map((server) => server[Symbol.asyncDispose]()));
    await rm(this.dir, { recursive: true, force: true });
  }

  async #start(): Promise<TestRedis> {
    const { nodeTimeoutMs = GENEROUS_MS, args = [] } = this.settings;
    const name = (this.#started += 1);
    const cluster = ['--cluster-enabled', 'yes', '--cluster-config-file', join(this.dir, `nodes-${name}.conf`)];
    // Replicas of a small cluster may take over at once, whatever they missed while their master died.
    const failover = ['--cluster-node-timeout', String(nodeTimeoutMs), '--cluster-replica-validity-factor', '0'];
    const own = ['--dir', this.dir, '--dbfilename', `dump-${name}.rdb`];
    return startRedis({ args: [...own, ...cluster, ...failover, ...args] });
  }

  async #meet(first: TestRedis, other: TestRedis): Promise<void> {
    await this.#ask(first, 'CLUSTER', 'MEET', '127.0.0.1', String(other.port));
  }

  async #idOf(server: TestRedis): Promise<string> {
    return String(await this.#ask(server, 'CLUSTER', 'MYID'));
  }

  async #untilCopying(replica: TestRedis): Promise<void> {
    await eventually(async () => {
      const info = String(await this.#ask(replica, 'INFO', 'replication'));
      if (!info.includes('master_link_status:up')) throw new Error(`${replica.port} does not copy its master: ${info}`);
    });
  }

  #running(): TestRedis[] {
    return this.#all.filter(({ canAnswer }) => canAnswer);
  }

  async #ask(server: TestRedis, ...args: string[]): Promise<unknown> {
    if (!server.canAnswer) throw new Error(`${server.port} was killed or paused: it cannot answer ${args.join(' ')}`);
    const client = this.#clients.get(server) ?? (await server.client());
    this.#clients.set(server, client);
    return askRedis({ port: server.port, client }, args);
  }
}

function holds(range: string, slot: number): boolean {
  if (range.startsWith('[')) return false;
  const [from = NaN, to = from] = range.split('-').map(Number);
  return slot >= from && slot <= to;
}
