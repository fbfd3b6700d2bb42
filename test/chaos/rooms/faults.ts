import type { ClusterNode, Cluster } from '../../support/cluster.js';
import { GENEROUS_MS } from '../../support/eventually.js';
import { lasting } from '../../support/lasting.js';
import type { TestRedis } from '../../support/redis.js';
import type { TcpProxy } from '../../support/tcp-proxy.js';
import { between, shuffled } from '../requests/random.js';
import type { Member } from './member.js';

export interface World {
  readonly redis: TestRedis;
  readonly cluster: Cluster;
  /** Nodes that serve and publish: `kill node` replaces one. */
  nodes: ClusterNode[];
  /** Between clients and nodes. */
  readonly proxies: readonly TcpProxy[];
}

export interface Storm {
  readonly forMs: number;
  readonly seed: number;
  readonly seeded: (seed: number) => () => number;
  /** Whether it has done to publications and members what the test is about. */
  readonly enough: () => boolean;
}

type Fault = (world: World, members: readonly Member[], random: () => number) => Promise<void>;

const REDIS_FAULTS: Readonly<Record<string, Fault>> = {
  'restart redis': async ({ redis }, _, random) => {
    // What comes meanwhile is on its way when the connections break.
    redis.pause();
    await lasting(between(0, 500, random));
    await redis.stop();
    await lasting(between(300, 1_200, random));
    await redis.restart();
  },
  'pause redis': async ({ redis }, _, random) => {
    redis.pause();
    await lasting(between(200, 900, random));
    redis.resume();
  },
  'kill subscriptions': ({ redis }) => killConnections(redis, 'pubsub'),
  'kill commands': ({ redis }) => killConnections(redis, 'normal'),
};

const CLIENT_FAULTS: Readonly<Record<string, Fault>> = {
  'kill node': async (world, _, random) => {
    const node = world.nodes[between(0, world.nodes.length, random)];
    if (!node) return;
    await node.kill();
    world.nodes = world.nodes.filter((one) => one !== node);
    await lasting(between(100, 500, random));
    world.nodes.push(await world.cluster.add());
  },
  'cut link': ({ proxies }, _, random) => breakLink(proxies, 'cut', random),
  'stall link': ({ proxies }, _, random) => breakLink(proxies, 'stall', random),
  'cut clients': async (_, members, random) => {
    for (const member of members) if (random() < 0.2) member.cut();
    await Promise.resolve();
  },
  /** So long that a brief room has gone on without them. */
  'leave clients out': async (_, members, random) => {
    for (const member of members) if (random() < 0.1) member.cut(between(2_000, 6_000, random));
    await Promise.resolve();
  },
};

export const FAULTS = Object.keys({ ...REDIS_FAULTS, ...CLIENT_FAULTS });

/** Two rows of seeded faults at the same time, one of Redis and one of nodes and clients: each kind once before any comes again. */
export class Faults {
  readonly seen: string[] = [];

  constructor(
    private readonly world: World,
    private readonly members: readonly Member[],
  ) {}

  /** At least `forMs`, until each kind has come, and until it is `enough`. Resolves when everything is whole again. */
  async blow({ forMs, seed, seeded, enough }: Storm): Promise<void> {
    const startedAt = performance.now();
    // So long as nothing has come of it, a slow machine gets more of it; what hangs ends in the judgement.
    const goesOn = (): boolean => {
      const tookMs = performance.now() - startedAt;
      return tookMs < forMs || (!enough() && tookMs < forMs + GENEROUS_MS);
    };
    await Promise.all([
      this.row(REDIS_FAULTS, goesOn, seeded(seed * 1_000 + 1)),
      this.row(CLIENT_FAULTS, goesOn, seeded(seed * 1_000 + 2)),
    ]);
  }

  private async row(
    faults: Readonly<Record<string, Fault>>,
    goesOn: () => boolean,
    random: () => number,
  ): Promise<void> {
    do {
      for (const [name, fault] of shuffled(Object.entries(faults), random)) {
        await lasting(between(200, 1_200, random));
        this.seen.push(name);
        await fault(this.world, this.members, random);
      }
    } while (goesOn());
  }
}

async function breakLink(proxies: readonly TcpProxy[], how: 'cut' | 'stall', random: () => number): Promise<void> {
  const proxy = proxies[between(0, proxies.length, random)];
  proxy?.[how]();
  await lasting(between(200, 1_500, random));
  proxy?.heal();
}

async function killConnections(redis: TestRedis, type: 'pubsub' | 'normal'): Promise<void> {
  const client = await redis.client();
  await client.sendCommand(['CLIENT', 'KILL', 'TYPE', type]);
  client.destroy();
}
