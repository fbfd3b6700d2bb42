import { createHash } from 'node:crypto';
import { startBusNode, watchUnhandled, type BusNode } from './bus-nodes.js';
import { eventually } from '../support/eventually.js';
import { startRedis, type TestRedis } from '../support/redis.js';

const LUA = "return redis.call('PUBLISH', KEYS[1], ARGV[1])";
const announce = { name: 'announce', lua: LUA, sha1: createHash('sha1').update(LUA).digest('hex') };

const channelOf = ({ connection }: BusNode): string => `${connection.keyPrefix}ch`;

async function listen({ bus }: BusNode): Promise<string[]> {
  const heard: string[] = [];
  await bus.subscribe('ch', (payload) => heard.push(payload));
  return heard;
}

async function publishCalls({ connection }: BusNode): Promise<number> {
  const stats = String(await connection.command('INFO', 'commandstats'));
  return Number(/cmdstat_publish:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

watchUnhandled();

describe('when much is published in one go', () => {
  let redis: TestRedis;
  let node: BusNode;
  let other: BusNode;

  beforeAll(async () => {
    redis = await startRedis();
    [node, other] = [await startBusNode({ url: redis.url }), await startBusNode({ url: redis.url })];
  });
  afterAll(async () => {
    for (const each of [node, other, redis]) await each[Symbol.asyncDispose]();
  });

  it('is one command for each channel, in order with what scripts publish', async () => {
    const heard = await listen(other);
    const before = await publishCalls(node);
    const first = Array.from({ length: 1_000 }, (_, i) => node.bus.publish('ch', `a${i}`));
    const said = node.connection.run(announce, [channelOf(node)], ['script']);
    const second = Array.from({ length: 1_000 }, (_, i) => node.bus.publish('ch', `b${i}`));
    await Promise.all([...first, said, ...second]);
    await eventually(() => expect(heard).toHaveLength(2_001));
    const expected = [first, second].map((all, index) => all.map((_, i) => `${'ab'[index]}${i}`));
    expect(heard).toEqual([...expected[0]!, 'script', ...expected[1]!]);
    // Two bundles, the script's own, and probes of the buses meanwhile.
    expect((await publishCalls(node)) - before).toBeLessThan(100);
  });

  it('is still sent when the connection is closed at once', async () => {
    const heard = await listen(other);
    await using leaving = await startBusNode({ url: redis.url });
    const sent = ['1', '2'].map((payload) => leaving.bus.publish('ch', payload));
    await Promise.all([leaving.connection.close(), ...sent]);
    await eventually(() => expect(heard).toEqual(['1', '2']));
  });

  it('is not mixed up with what strangers publish', async () => {
    const heard = await listen(other);
    for (const message of ['\u00015\nabc', '\u0001', '\u00011,1\nab']) {
      await node.connection.command('PUBLISH', channelOf(node), message);
    }
    await node.bus.publish('ch', 'ours');
    await eventually(() => expect(heard).toEqual(['a', 'b', 'ours']));
    expect(other.drops).toEqual(['bus-malformed', 'bus-malformed']);
  });
});
