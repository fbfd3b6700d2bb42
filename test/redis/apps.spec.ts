import { RoomManager, PresenceService, type RealtimeOptions } from 'nestjs-realtime';
import { bootApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { REDIS_KINDS } from '../support/redis-kinds.js';
import { startSentinel } from '../support/redis-sentinel.js';
import { connectTo, historyProviders, join, missed, publish } from '../support/room-log.js';
import { TIMES, watchUnhandled } from './bus-nodes.js';

watchUnhandled();

const ROOM = 'chat/1';

describe('when an app runs on a Redis Cluster of three masters', () => {
  it('publishes, remembers, recovers and counts who is there over two nodes', async () => {
    const place = await REDIS_KINDS['redis cluster']?.();
    if (place === undefined) throw new Error('no cluster');
    const realtime: Partial<RealtimeOptions> = { redis: { ...place.options, ...TIMES } };
    await using one = await bootApp({ providers: [...historyProviders], realtime });
    await using two = await bootApp({ providers: [...historyProviders], realtime });
    await using ada = await connectTo(one, 'ada');
    await using bob = await connectTo(two, 'bob');
    const { position } = await join(ada, { room: ROOM });
    await publish(two, ROOM, [1, 2, 3]);
    for (const value of [1, 2, 3]) expect((await ada.inbox.next('said')).args[0]).toBe(value);
    expect(missed(await join(bob, { room: ROOM, position }))).toEqual([1, 2, 3]);
    const presence = two.app.get(PresenceService);
    await eventually(async () => expect(await presence.isOnline('ada')).toMatchObject({ online: true }));
  });
});

describe('when the sentinels change the master of an app without a fault', () => {
  it('tells its clients nothing, and loses nothing', async () => {
    await using world = await startSentinel({ replicas: 1 });
    const realtime: Partial<RealtimeOptions> = { redis: { sentinel: world.address, ...TIMES } };
    await using one = await bootApp({ providers: [...historyProviders], realtime });
    await using two = await bootApp({ providers: [...historyProviders], realtime });
    await using ada = await connectTo(one, 'ada');
    await join(ada, { room: ROOM });
    const rooms = two.app.get(RoomManager);
    await publish(two, ROOM, [1, 2]);
    await world.failover();
    // Sentinels tell of it within a second or so; meanwhile the old master takes what it will forget, whoever it is from.
    const master = await (await world.master()).client();
    await eventually(async () => expect(await master.pubSubChannels('rt:{#nodes}:probe:*')).toHaveLength(2));
    await eventually(() => rooms.publish(ROOM, 'said', 3, { id: 'three' }));
    await publish(two, ROOM, [4]);
    for (const value of [1, 2, 3, 4]) expect((await ada.inbox.next('said')).args[0]).toBe(value);
    expect(ada.inbox.all.filter(({ event }) => event === 'realtime:room')).toEqual([]);
  });
});
