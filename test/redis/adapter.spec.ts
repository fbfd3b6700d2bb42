import { jest } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { startRedis } from '../support/redis.js';
import { hearsAll, startAdapterNode, untilConnected } from './adapter-nodes.js';
import { watchUnhandled } from './bus-nodes.js';

watchUnhandled();
afterEach(() => jest.restoreAllMocks());

describe.each(['pubsub', 'sharded'] as const)('the Socket.IO adapter in %s mode', (mode) => {
  it('exchanges broadcasts, binary too, and counts sockets of both nodes', async () => {
    await using redis = await startRedis();
    await using a = await startAdapterNode({ url: redis.url }, mode);
    await using b = await startAdapterNode({ url: redis.url }, mode);
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
    await using a = await startAdapterNode({ url: redis.url }, mode);
    await using b = await startAdapterNode({ url: redis.url }, mode);
    await untilConnected(a, b);
    await redis.stop();
    for (let i = 0; i < 30; i += 1) {
      a.io.to('room').emit('news', i);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => expect(a.received).toEqual(Array.from({ length: 30 }, (_, i) => i)));
    await eventually(() => expect(a.dropped.filter((kind) => kind === 'adapter-publish')).toHaveLength(30));
    await expect(a.io.fetchSockets()).resolves.toHaveLength(1);
    await redis.restart();
    await untilConnected(a, b);
  });

  it('delivers locally while Redis hangs, and answers queries within their deadline', async () => {
    await using redis = await startRedis();
    // Only their deadline ends queries here: Redis is not given up before a minute.
    const options = { url: redis.url, adapter: { requestsTimeoutMs: 300 } };
    await using a = await startAdapterNode(options, mode);
    await using b = await startAdapterNode(options, mode);
    await untilConnected(a, b);
    redis.pause();
    a.io.to('room').emit('news', 'local');
    await eventually(() => expect(a.received).toEqual(['local']));
    const timers = jest.spyOn(globalThis, 'setTimeout');
    await a.io.fetchSockets().catch(() => undefined);
    const delays = timers.mock.calls.map(([, delayMs]) => delayMs);
    expect(delays).toContain(options.adapter.requestsTimeoutMs);
    // What the stock adapters wait for, and what would end a query all the same.
    expect(delays).not.toContain(5_000);
    redis.resume();
    await untilConnected(a, b);
  });

  it('ignores garbage on its channels', async () => {
    await using redis = await startRedis();
    await using a = await startAdapterNode({ url: redis.url }, mode);
    await using b = await startAdapterNode({ url: redis.url }, mode);
    await untilConnected(a, b);
    const stranger = await redis.client();
    for (const text of ['garbage', '{', '{"type":3}', '\xc1', 'null']) {
      for (const channel of ['socket.io#/#', 'socket.io#/#room#', 'socket.io-request#/#', 'socket.io-response#/#']) {
        await stranger.publish(channel, text);
        await stranger.sPublish(channel, text);
      }
    }
    await hearsAll(b, a);
    await hearsAll(a, b);
  });
});

describe('what a node hears of its own broadcasts', () => {
  it('is not decoded; that of others is', async () => {
    await using redis = await startRedis();
    await using a = await startAdapterNode({ url: redis.url }, 'pubsub');
    await using b = await startAdapterNode({ url: redis.url }, 'pubsub');
    await untilConnected(a, b);
    // Both nodes have the same one.
    const { parser } = a.io.of('/').adapter as unknown as { parser: { decode(message: Buffer): unknown } };
    const decode = jest.spyOn(parser, 'decode');
    const [toBoth, hears] = [[0, 1, 2, 3, 4], 'of the other'];
    for (const value of toBoth) a.io.to('room').emit('news', value);
    await eventually(() => expect(b.received).toEqual(toBoth));
    // Each has heard its own before: Redis tells everybody in the same order.
    b.io.to('room').emit('news', hears);
    await eventually(() => expect(a.received).toEqual([...toBoth, hears]));
    a.io.to('room').emit('news', hears);
    await eventually(() => expect(b.received).toEqual([...toBoth, hears, hears]));
    expect(decode).toHaveBeenCalledTimes(toBoth.length + 2);
  });
});
