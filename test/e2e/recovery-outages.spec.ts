import { randomBytes } from 'node:crypto';
import type { RoomStatus } from 'nestjs-realtime-protocol';
import { RoomManager, RoomPolicy, type CanJoin } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { startRedis, type TestRedis, type TestRedisClient } from '../support/redis.js';
import {
  connectTo,
  fence,
  hammerOn,
  historyProviders,
  join,
  live,
  missed,
  publish,
  range,
} from '../support/room-log.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';

/** Keeps what is published while a subscription is away, however long that takes. */
@RoomPolicy('long/:id', { history: { size: 10_000, ttlMs: 3_600_000 } })
class LongPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

/** One node through a link that may break, another that publishes, and Redis that keeps its data. */
describe('when Redis does not behave', () => {
  const keyPrefix = `${randomBytes(6).toString('hex')}:`;
  let redis: TestRedis;
  let admin: TestRedisClient;
  let link: TcpProxy;
  let near: TestApp;
  let far: TestApp;
  let room: string;

  beforeAll(async () => {
    redis = await startRedis({ isPersistent: true });
    admin = await redis.client();
    link = await startTcpProxy({ port: redis.port });
    const options = { keyPrefix, commandTimeoutMs: 6_000 };
    far = await bootApp({
      providers: [...historyProviders, LongPolicy],
      realtime: { redis: { url: `redis://127.0.0.1:${link.port}`, ...options } },
    });
    near = await bootApp({
      providers: [...historyProviders, LongPolicy],
      realtime: { redis: { url: redis.url, ...options } },
    });
  });

  afterAll(async () => {
    await far[Symbol.asyncDispose]();
    await near[Symbol.asyncDispose]();
    await link[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    room = `chat/${randomBytes(4).toString('hex')}`;
  });

  it('F-06: loses nothing when subscriptions are cut while somebody publishes', async () => {
    room = `long/${randomBytes(4).toString('hex')}`;
    await using ada = await connectTo(far, 'ada');
    await join(ada, { room });
    const hammer = hammerOn(near, room);
    for (let kill = 0; kill < 5; kill += 1) {
      const before = live(ada, room).length;
      await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
      await eventually(() => expect(live(ada, room).length).toBeGreaterThan(before + 20));
    }
    const top = await hammer.stop();
    await eventually(() => expect(live(ada, room).length).toBe(top));
    expect(live(ada, room).map(({ data }) => data)).toEqual(range(1, top));
    expect(ada.inbox.all.filter(({ event }) => event === 'realtime:room')).toEqual([]);
  });

  it('heals a lost last message when the connection is back', async () => {
    await using ada = await connectTo(far, 'ada');
    await join(ada, { room });
    await publish(near, room, [1]);
    await ada.inbox.next('said');
    link.stall('subscribers');
    await publish(near, room, range(2, 4));
    link.heal();
    for (const n of range(2, 4)) expect((await ada.inbox.next('said')).args[0]).toBe(n);
  });

  it('tells a gap, before what comes next, when the room does not keep what was lost', async () => {
    const brief = `brief/${room.slice(5)}`;
    await using ada = await connectTo(far, 'ada');
    const { position } = await join(ada, { room: brief });
    await publish(near, brief, [1]);
    await ada.inbox.next('said');
    link.cut();
    await publish(near, brief, range(2, 9));
    link.heal();
    const [gap] = (await ada.inbox.next(({ event }) => event === 'realtime:room' || event === 'said')).args;
    expect(gap).toEqual({
      ...{ room: brief, status: 'gap', code: 'NOT_FOUND' },
      position: { epoch: position?.epoch as string, offset: 4 },
    } satisfies RoomStatus);
    await fence(near, ada, brief);
    expect(live(ada, brief).map(({ data }) => data)).toEqual([1, ...range(5, 9)]);
  });

  it('goes on without a gap when Redis restarts with its data', async () => {
    const ada = await connectTo(far, 'ada');
    await using bob = await connectTo(far, 'bob');
    await join(ada, { room });
    const { position } = await join(bob, { room });
    await publish(near, room, range(1, 3));
    await fence(near, ada, room);
    await ada[Symbol.asyncDispose]();
    await redis.restart();
    // With an id: a try whose answer got lost may have been taken.
    await eventually(() => near.app.get(RoomManager).publish(room, 'said', 4, { id: 'four' }));
    await publish(near, room, range(5, 6));
    await eventually(() => expect(live(bob, room).map(({ data }) => data)).toEqual(range(1, 6)));
    await using again = await connectTo(far, 'ada');
    const reply = await join(again, { room, position: { ...position, offset: 3 } });
    expect(reply.recovered).toBe(true);
    expect(missed(reply)).toEqual([expect.any(String), 4, 5, 6]);
    expect(reply.position?.epoch).not.toBe(position?.epoch);
    expect(bob.inbox.all.filter(({ event }) => event === 'realtime:room')).toEqual([]);
  });

  it('begins a new epoch, and says so, when the keys are gone', async () => {
    await using ada = await connectTo(far, 'ada');
    const { position } = await join(ada, { room });
    await publish(near, room, range(1, 3));
    await fence(near, ada, room);
    admin = await redis.client();
    await admin.del([`${keyPrefix}{${room}}:log`, `${keyPrefix}{${room}}:logm`]);
    await publish(near, room, [4]);
    const told = (await ada.inbox.next('realtime:room')).args[0] as RoomStatus;
    expect(told).toEqual({ room, status: 'gap', code: 'UNKNOWN', position: { epoch: expect.any(String), offset: 0 } });
    await fence(near, ada, room);
    expect(live(ada, room).map(({ data }) => data)).toEqual(range(1, 4));
    await using bob = await connectTo(near, 'bob');
    const reply = await join(bob, { room, position: { ...position, offset: 2 } });
    expect(reply).toEqual({ room, recovered: false, position: { epoch: told.position?.epoch, offset: 2 } });
  });

  it('joins who comes back while Redis is away, if this node has the room', async () => {
    await using ada = await connectTo(far, 'ada');
    const { position } = await join(ada, { room });
    await publish(near, room, range(1, 3));
    await fence(near, ada, room);
    link.cut();
    await using bob = await connectTo(far, 'bob');
    const reply = await join(bob, { room, position: { ...position, offset: 1 } });
    expect(missed(reply)).toEqual([2, 3, expect.any(String)]);
    const other = await bob.ask('realtime:join', { room: `${room}x` });
    expect(other).toEqual({ error: expect.objectContaining({ code: 'UNAVAILABLE', retryable: true }) });
    link.heal();
    await eventually(async () =>
      expect(await bob.ask('realtime:join', { room: `${room}x` })).toHaveProperty('position'),
    );
  });
});
