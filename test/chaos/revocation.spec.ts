import { randomBytes } from 'node:crypto';
import type { RealtimeOptions } from 'nestjs-realtime';
import { bootCluster, type Cluster, type ClusterNode } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { promised } from '../support/promised.js';
import { startRedis } from '../support/redis.js';
import { IS_FULL, itAtOnce, judgeBound } from '../support/scale.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { mintToken } from '../support/tokens.js';

const SOURCE = 'docs/guides/authentication.md, Ending access now';
const WITHIN_MS = promised(1_000, SOURCE);
const WITHIN_STALLED_MS = promised(6_000, SOURCE);

// At full length the product's own timers, and the bounds are judged. Otherwise only one way is open: the other ones would
// be taken after the test.
const NEVER_MS = 600_000;
const BY_MESSAGE_ALONE: Partial<RealtimeOptions> = IS_FULL
  ? {}
  : { cluster: { watchMs: NEVER_MS, renewMs: NEVER_MS, leaseMs: 3 * NEVER_MS } };
const BY_LOOK_ALONE: Partial<RealtimeOptions> = IS_FULL
  ? {}
  : {
      redis: { probeTimeoutMs: NEVER_MS },
      // The deaf node never answers, so this is waited for. The others have more than five seconds.
      cluster: { requestTimeoutMs: 8_000 },
    };

interface Victim {
  readonly node: ClusterNode;
  readonly client: StockClient;
  /** Its id on the node. */
  readonly id: string;
}

function connect(node: ClusterNode, token: string): Promise<StockClient> {
  return connectedClient(`${node.url}/chat`, { auth: { token } });
}

function victims({ nodes }: Cluster, token: string): Promise<Victim[]> {
  return Promise.all(
    nodes.map(async (node) => {
      const client = await connect(node, token);
      return { node, client, id: client.socket.id! };
    }),
  );
}

/** The client is told that its credentials are withdrawn, and then closed. */
async function revoked({ inbox }: StockClient): Promise<void> {
  const bye = await inbox.next('realtime:bye');
  expect(bye.args[0]).toMatchObject({ code: 'REVOKED', retryable: false });
  await inbox.next('disconnect');
}

/** When the nodes ended these connections, by their own clocks, which are the one machine's. */
async function endedAt({ ended }: Cluster, some: readonly Victim[]): Promise<number[]> {
  return eventually(() =>
    some.map(({ id, node }) => {
      const end = ended.find(({ connectionId }) => connectionId === id);
      if (!end) throw new Error(`${node.id} has not said that ${id} ended: ${JSON.stringify(ended)}`);
      return end.at;
    }),
  );
}

const settings = () => ({ keyPrefix: `${randomBytes(6).toString('hex')}:` });

describe('when a token is revoked', () => {
  itAtOnce(
    `ends its connections on all nodes within ${WITHIN_MS} ms, no others, and is refused by a node that starts later`,
    async () => {
      await using redis = await startRedis();
      await using cluster = await bootCluster(3, { redisUrl: redis.url, ...settings(), options: BY_MESSAGE_ALONE });
      const [stolen, own] = [mintToken('ada', { jti: 'stolen' }), mintToken('ada', { jti: 'own' })];
      const all = await victims(cluster, stolen);
      await using other = await connect(cluster.nodes[1]!, own);

      const [answer] = await Promise.all([
        cluster.nodes[0]!.call('revoke', { tokenId: 'stolen' }),
        ...all.map(({ client }) => revoked(client)),
      ]);
      expect([...answer.acknowledged].sort()).toEqual(cluster.nodes.map(({ id }) => id));
      expect(answer.missing).toEqual([]);
      const ends = await endedAt(cluster, all);
      judgeBound('ended on all nodes', Math.max(...ends) - answer.at, WITHIN_MS);

      const late = await cluster.add();
      for (const node of [...cluster.nodes.slice(0, 3), late]) {
        await expect(connect(node, stolen)).rejects.toMatchObject({ data: { code: 'REVOKED', retryable: false } });
      }
      await using again = await connect(late, own);
      expect([again.socket.connected, other.socket.connected]).toEqual([true, true]);
    },
  );

  itAtOnce(
    `ends them within ${WITHIN_STALLED_MS} ms on a node whose subscriptions are dead without its knowing`,
    async () => {
      await using redis = await startRedis();
      await using proxy = await startTcpProxy({ port: redis.port });
      await using cluster = await bootCluster(2, { redisUrl: redis.url, ...settings(), options: BY_LOOK_ALONE });
      const deaf = await cluster.add({ redis: { ...BY_LOOK_ALONE.redis, url: `redis://127.0.0.1:${proxy.port}` } });
      // Before the nodes end, also after a failure: one that ends says so to Redis, and waits for the answer.
      using _ = { [Symbol.dispose]: () => proxy.heal() };
      const token = mintToken('ada', { jti: 'stolen' });
      const all = await victims(cluster, token);

      proxy.stall('subscribers');
      const [answer] = await Promise.all([
        cluster.nodes[0]!.call('revoke', { tokenId: 'stolen' }),
        ...all.map(({ client }) => revoked(client)),
      ]);
      expect(answer.missing).toEqual([deaf.id]);
      for (const [index, at] of (await endedAt(cluster, all)).entries()) {
        const node = all[index]!.node;
        judgeBound(`ended on ${node.id}`, at - answer.at, node === deaf ? WITHIN_STALLED_MS : WITHIN_MS);
      }
      await expect(connect(deaf, token)).rejects.toMatchObject({ data: { code: 'REVOKED' } });
    },
  );
});
