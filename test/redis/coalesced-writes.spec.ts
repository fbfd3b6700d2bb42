import { randomBytes } from 'node:crypto';
import { RoomManager } from 'nestjs-realtime';
import { watchWrites, wireApp, type Connected } from '../e2e/coalesced-writes/wire.gateway.js';
import { eventually } from '../support/eventually.js';
import { nextTurn } from '../support/next-turn.js';
import { sharedRedis, type SharedRedis } from '../support/redis.js';

const MESSAGES = 20;
const isFence = (text: string): boolean => text.startsWith('42["fence"');

describe.each(['pubsub', 'sharded'] as const)('when broadcasts take the Redis adapter, %s', (mode) => {
  let redis: SharedRedis;
  beforeAll(async () => (redis = await sharedRedis()));
  afterAll(() => redis[Symbol.asyncDispose]());

  function cluster() {
    const key = `sio-${randomBytes(6).toString('hex')}`;
    return () => wireApp({ redis: { url: redis.url, keyPrefix: redis.prefix, adapter: { mode, key } } });
  }

  async function fenced(clients: readonly Connected[], send: () => void): Promise<readonly Buffer[][][]> {
    for (const { wire } of clients) wire.frames.splice(0);
    const writes = clients.map(({ tcp }) => watchWrites(tcp));
    send();
    for (const { wire } of clients) await wire.got(isFence);
    return writes;
  }

  it('shares the bytes of a turn, whichever node they come from', async () => {
    const boot = cluster();
    await using near = await boot();
    await using far = await boot();
    using ada = await near.client('ada');
    using bob = await near.client('bob');
    // Subscriptions of the adapter are not announced.
    await eventually(async () => {
      far.server.to('room').emit('hello');
      await nextTurn();
      expect(ada.wire.texts).toContain('42["hello"]');
    });
    far.server.to('room').emit('ready');
    for (const { wire } of [ada, bob]) await wire.got((text) => text === '42["ready"]');
    for (const from of [far, near]) {
      const [toAda, toBob] = await fenced([ada, bob], () => {
        for (let count = 0; count < MESSAGES; count += 1)
          from.server.to('room').emit('count', count, Buffer.from([count]));
        from.server.to('room').emit('fence');
      });
      const expected = Array.from({ length: MESSAGES }, (_, count) => [
        `451-["count",${count},{"_placeholder":true,"num":0}]`,
        Buffer.from([count]).toString('hex'),
      ]);
      expect(ada.wire.texts).toEqual([...expected.flat(), '42["fence"]']);
      expect(bob.wire.texts).toEqual(ada.wire.texts);
      expect(toAda?.length).toBeLessThan(MESSAGES / 2);
      expect(toBob?.map(([bytes]) => bytes)).toEqual(toAda?.map(([bytes]) => bytes));
      toAda?.forEach(([bytes], index) => expect(toBob?.[index]?.[0]).toBe(bytes));
    }
  });

  it('writes what a room gets from another node once for each turn', async () => {
    const boot = cluster();
    await using near = await boot();
    await using far = await boot();
    using ada = await near.client('ada');
    const rooms = far.app.app.get(RoomManager);
    const [writes] = await fenced([ada], () => {
      for (let count = 0; count < MESSAGES; count += 1) rooms.emit('user/ada', 'count', count);
      rooms.emit('user/ada', 'fence', 1);
    });
    expect(ada.wire.frames).toHaveLength(MESSAGES + 1);
    expect(writes?.length).toBeLessThan(MESSAGES / 2);
  });
});
