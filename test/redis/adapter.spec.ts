import { createServer, type Server as HttpServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import { RedisConnection, createRedisAdapter, noMetrics } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { startRedis, type TestRedis } from '../support/redis.js';

const TIMES = { probeIntervalMs: 200, probeTimeoutMs: 400, commandTimeoutMs: 500, connectTimeoutMs: 500 };
const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };

interface Node extends AsyncDisposable {
  io: Server;
  client: Socket;
  received: unknown[];
  dropped: string[];
}

async function startNode(redis: TestRedis, mode: 'pubsub' | 'sharded'): Promise<Node> {
  const dropped: string[] = [];
  const metrics = { ...noMetrics, dropped: (kind: string) => void dropped.push(kind) };
  const connection = new RedisConnection({ url: redis.url, ...TIMES, adapter: { mode } }, { metrics, logger: quiet });
  const adapter = createRedisAdapter(connection);
  const http: HttpServer = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  const server = new Server(http, { adapter: adapter.factory });
  server.on('connection', (socket) => void socket.join('room'));
  const client = io(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, { transports: ['websocket'] });
  const received: unknown[] = [];
  client.on('news', (value: unknown) => received.push(value));
  await new Promise<void>((resolve) => client.once('connect', resolve));
  return {
    io: server,
    client,
    received,
    dropped,
    async [Symbol.asyncDispose]() {
      client.disconnect();
      await server.close();
      await adapter.close();
      await connection.close();
    },
  };
}

/** Subscriptions of the adapter are not announced: the nodes are connected when both hear each other. */
async function untilConnected(a: Node, b: Node): Promise<void> {
  await eventually(() => {
    a.io.to('room').emit('news', 'hello');
    b.io.to('room').emit('news', 'hello');
    expect(a.received.length).toBeGreaterThan(0);
    return pairHears(a, b, 100);
  });
  await eventually(() => pairHears(b, a, 100));
  for (const node of [a, b]) node.received.length = 0;
}

async function pairHears(from: Node, to: Node, deadlineMs = 2_000): Promise<void> {
  const marker = `marker ${Math.random()}`;
  from.io.to('room').emit('news', marker);
  await eventually(() => expect(to.received).toContain(marker), deadlineMs);
}

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
beforeAll(() => process.on('unhandledRejection', onUnhandled));
afterAll(() => void process.off('unhandledRejection', onUnhandled));

describe.each(['pubsub', 'sharded'] as const)('the Socket.IO adapter in %s mode', (mode) => {
  it('exchanges broadcasts, binary too, and counts sockets of both nodes', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis, mode);
    await using b = await startNode(redis, mode);
    await untilConnected(a, b);
    a.io.to('room').emit('news', { n: 1 }, 'x');
    b.io.emit('news', Buffer.from('bytes'));
    for (const node of [a, b]) {
      await eventually(() => expect(node.received).toEqual(expect.arrayContaining([{ n: 1 }, Buffer.from('bytes')])));
    }
    await expect(a.io.fetchSockets()).resolves.toHaveLength(2);
  });

  it('survives a killed Redis: 30 local emits arrive, nothing is unhandled, then both hear each other again', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis, mode);
    await using b = await startNode(redis, mode);
    await untilConnected(a, b);
    await redis.stop();
    for (let i = 0; i < 30; i += 1) {
      a.io.to('room').emit('news', i);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => expect(a.received).toEqual(Array.from({ length: 30 }, (_, i) => i)), 1_000);
    await eventually(() => expect(a.dropped.filter((kind) => kind === 'adapter-publish')).toHaveLength(30));
    await expect(a.io.fetchSockets()).resolves.toHaveLength(1);
    await redis.restart();
    await untilConnected(a, b);
    expect(unhandled).toEqual([]);
  });

  it('delivers locally while Redis hangs, and answers queries within their deadline', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis, mode);
    await using b = await startNode(redis, mode);
    await untilConnected(a, b);
    redis.pause();
    a.io.to('room').emit('news', 'local');
    await eventually(() => expect(a.received).toEqual(['local']), 1_000);
    const askedAt = performance.now();
    await a.io.fetchSockets().catch(() => undefined);
    expect(performance.now() - askedAt).toBeLessThan(2_000);
    redis.resume();
    await untilConnected(a, b);
    expect(unhandled).toEqual([]);
  });

  it('ignores garbage on its channels', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis, mode);
    await using b = await startNode(redis, mode);
    await untilConnected(a, b);
    const stranger = await redis.client();
    for (const text of ['garbage', '{', '{"type":3}', '\xc1', 'null']) {
      for (const channel of ['socket.io#/#', 'socket.io#/#room#', 'socket.io-request#/#', 'socket.io-response#/#']) {
        await stranger.publish(channel, text);
        await stranger.sPublish(channel, text);
      }
    }
    await pairHears(b, a);
    await pairHears(a, b);
    expect(unhandled).toEqual([]);
  });
});
