import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { bootCluster, type ClusterNode } from '../support/cluster.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { startRedis } from '../support/redis.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { mintToken } from '../support/tokens.js';

jest.setTimeout(60_000);

// Nothing is scaled here: these bounds are short, and hold with the default timers.
const WITHIN_MS = 1_000;
const WITHIN_STALLED_MS = 6_000;

function connect(node: ClusterNode, token: string): Promise<StockClient> {
  return connectedClient(`${node.url}/chat`, { auth: { token } });
}

/** How long after `sinceMs` the client was told that its credentials are withdrawn, and then closed. */
async function untilRevoked({ inbox }: StockClient, sinceMs: number, deadlineMs: number): Promise<number> {
  const bye = await inbox.next('realtime:bye', deadlineMs);
  const tookMs = performance.now() - sinceMs;
  expect(bye.args[0]).toMatchObject({ code: 'REVOKED', retryable: false });
  await inbox.next('disconnect');
  return tookMs;
}

const settings = () => ({ keyPrefix: `${randomBytes(6).toString('hex')}:` });

describe('when a token is revoked', () => {
  it(`ends its connections on all nodes within ${WITHIN_MS} ms, no others, and is refused by a node that starts later`, async () => {
    await using redis = await startRedis();
    await using cluster = await bootCluster(3, { redisUrl: redis.url, ...settings() });
    const [stolen, own] = [mintToken('ada', { jti: 'stolen' }), mintToken('ada', { jti: 'own' })];
    const clients = await Promise.all(cluster.nodes.map((node) => connect(node, stolen)));
    await using other = await connect(cluster.nodes[1]!, own);

    const revokedAt = performance.now();
    const [answer, ...took] = await Promise.all([
      cluster.nodes[0]!.call('revoke', { tokenId: 'stolen' }),
      ...clients.map((client) => untilRevoked(client, revokedAt, WITHIN_MS)),
    ]);
    expect(Math.max(...took)).toBeLessThanOrEqual(WITHIN_MS);
    expect([...answer.acknowledged].sort()).toEqual(cluster.nodes.map(({ id }) => id));
    expect(answer.missing).toEqual([]);

    const late = await cluster.add();
    for (const node of [...cluster.nodes.slice(0, 3), late]) {
      await expect(connect(node, stolen)).rejects.toMatchObject({ data: { code: 'REVOKED', retryable: false } });
    }
    await using again = await connect(late, own);
    expect([again.socket.connected, other.socket.connected]).toEqual([true, true]);
  });

  it(`ends them within ${WITHIN_STALLED_MS} ms on a node whose subscriptions are dead without its knowing`, async () => {
    await using redis = await startRedis();
    await using proxy = await startTcpProxy({ port: redis.port });
    await using cluster = await bootCluster(2, { redisUrl: redis.url, ...settings() });
    const deaf = await cluster.add({ redis: { url: `redis://127.0.0.1:${proxy.port}` } });
    const token = mintToken('ada', { jti: 'stolen' });
    const clients = await Promise.all(cluster.nodes.map((node) => connect(node, token)));

    proxy.stall('subscribers');
    const revokedAt = performance.now();
    const [answer, ...took] = await Promise.all([
      cluster.nodes[0]!.call('revoke', { tokenId: 'stolen' }),
      ...clients.map((client) => untilRevoked(client, revokedAt, WITHIN_STALLED_MS)),
    ]);
    expect(answer.missing).toEqual([deaf.id]);
    for (const [index, node] of cluster.nodes.entries()) {
      expect(took[index]).toBeLessThanOrEqual(node === deaf ? WITHIN_STALLED_MS : WITHIN_MS);
    }
    await expect(connect(deaf, token)).rejects.toMatchObject({ data: { code: 'REVOKED' } });
  });
});
