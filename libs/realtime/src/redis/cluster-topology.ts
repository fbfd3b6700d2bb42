import type { Clock } from '../core/clock.js';
import { SLOTS } from './key-slot.js';
import { addressName, connectWithin, createNodeClient } from './node-client.js';
import type { RedisNodeAddress, ResolvedRedisOptions } from './redis-options.js';

interface View {
  /** Its own word: it sees all slots served, and is with most of the masters. */
  readonly isOk: boolean;
  readonly epoch: number;
  readonly ranges: readonly { from: number; to: number; master: RedisNodeAddress }[];
}

/** Nodes that are asked at once: one hung or stale among them must not decide. */
const ASKED = 5;

/**
 * Which master has which slot of a Redis Cluster, shared by all our connections to it. Refuses to believe a node that sees
 * the cluster broken while another one sees it whole. Learns from MOVED at once, and from a look at the nodes when asked.
 */
export class ClusterTopology {
  readonly #options: ResolvedRedisOptions;
  readonly #seeds: readonly RedisNodeAddress[];
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #owners: (string | undefined)[] = [];
  #addresses = new Map<string, RedisNodeAddress>();
  #refreshing: Promise<void> | undefined;

  constructor(options: ResolvedRedisOptions, seeds: readonly RedisNodeAddress[], clock: Clock) {
    this.#options = options;
    this.#seeds = seeds;
    this.#clock = clock;
  }

  /** Names of all masters that have slots. */
  get masters(): readonly string[] {
    return [...this.#addresses.keys()];
  }

  masterOf(slot: number): string | undefined {
    return this.#owners[slot];
  }

  addressOf(name: string): RedisNodeAddress {
    const colon = name.lastIndexOf(':');
    return this.#addresses.get(name) ?? { host: name.slice(0, colon), port: Number(name.slice(colon + 1)) };
  }

  /** Called after each change of who has which slot. Returns its own removal. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What a MOVED answer said; the rest of the change is looked for behind it. */
  moved(slot: number, name: string): void {
    if (this.#owners[slot] !== name) {
      this.#owners[slot] = name;
      this.#addresses.set(name, this.addressOf(name));
      this.#tell();
    }
    void this.refresh().catch(() => undefined);
  }

  /** Looks anew; a look that is under way is shared. Rejects if no node gives an answer that can be used. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const known = shuffled([...this.#addresses.values()]);
    const asked = new Map([...known, ...shuffled([...this.#seeds])].slice(0, ASKED).map((a) => [addressName(a), a]));
    const view = await this.#best([...asked.values()]).catch((error: unknown) => {
      // All that we knew may have been replaced; the names in the options lead to whoever is there now.
      if (known.length < ASKED) throw error;
      return this.#best(shuffled([...this.#seeds]).slice(0, ASKED));
    });
    this.#adopt(view);
  }

  #adopt({ ranges }: View): void {
    const owners: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);
    const addresses = new Map<string, RedisNodeAddress>();
    for (const { from, to, master } of ranges) {
      const name = addressName(master);
      addresses.set(name, master);
      owners.fill(name, from, to + 1);
    }
    const isSame = this.#owners.length === SLOTS && owners.every((name, slot) => name === this.#owners[slot]);
    this.#owners = owners;
    this.#addresses = addresses;
    if (!isSame) this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** The first view of a whole cluster, else the newest of those that came in time. */
  #best(addresses: readonly RedisNodeAddress[]): Promise<View> {
    const views: View[] = [];
    let failed: unknown = new Error('redis.cluster.nodes: nobody to ask');
    return new Promise((resolve, reject) => {
      let waiting = addresses.length;
      const finish = (): void => {
        cancel();
        const [best] = views.sort((a, b) => Number(b.isOk) - Number(a.isOk) || b.epoch - a.epoch);
        if (best !== undefined) resolve(best);
        else reject(failed instanceof Error ? failed : new Error(String(failed)));
      };
      const cancel = this.#clock.after(this.#options.probeIntervalMs, finish);
      if (waiting === 0) finish();
      for (const address of addresses) {
        this.#look(address)
          .then(
            (view) => views.push(view),
            (error: unknown) => (failed = error),
          )
          .finally(() => {
            waiting -= 1;
            if (waiting === 0 || views.at(-1)?.isOk === true) finish();
          });
      }
    });
  }

  async #look(address: RedisNodeAddress): Promise<View> {
    const client = createNodeClient(this.#options, { clock: this.#clock, address, reconnects: false });
    const nothing = (): void => undefined;
    client.listen({ change: nothing, error: nothing, end: nothing, lost: nothing });
    try {
      await connectWithin(client, this.#clock, this.#options.probeIntervalMs);
      const [info, slots] = await Promise.all([
        client.send({ args: ['CLUSTER', 'INFO'] }),
        client.send({ args: ['CLUSTER', 'SLOTS'] }),
      ]);
      return toView(address, String(info), slots as SlotRange[]);
    } finally {
      client.destroy();
    }
  }
}

type SlotRange = [from: number, to: number, master: [host: string | null, port: number], ...replicas: unknown[]];

function toView(asked: RedisNodeAddress, info: string, slots: readonly SlotRange[]): View {
  const ranges = slots.map(([from, to, [host, port]]) => {
    // A node that does not know its own name leaves it out: it is the one that we have reached.
    const isKnown = host !== null && host !== '' && host !== '?';
    return { from, to, master: { host: isKnown ? host : asked.host, port } };
  });
  if (ranges.length === 0) throw new Error(`${addressName(asked)} is a node without a cluster`);
  return {
    isOk: info.includes('cluster_state:ok'),
    epoch: Number(/cluster_current_epoch:(\d+)/.exec(info)?.[1] ?? 0),
    ranges,
  };
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
