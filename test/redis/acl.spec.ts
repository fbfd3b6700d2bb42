import { randomBytes } from 'node:crypto';
import { PresenceService, RealtimeService, RoomManager, RoomPolicy, type CanJoin } from 'nestjs-realtime';
import { readPage } from '../docs/markdown.js';
import { bootApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { startRedis } from '../support/redis.js';
import { connectTo, historyProviders, join, missed } from '../support/room-log.js';

@RoomPolicy('seen/:id', { presence: true, history: { size: 10, ttlMs: 60_000 } })
class SeenPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

/** The line of the guide, for a password and a prefix of this test. */
function aclLine(password: string): string[] {
  const [line] = /^ACL SETUSER .*$/m.exec(readPage('docs/guides/history-and-recovery.md')) ?? [];
  if (line === undefined) throw new Error('the guide has no ACL line');
  return line.replace('>password', `>${password}`).split(' ');
}

describe("when Redis allows no more than the guide's ACL line", () => {
  it('does everything all the same', async () => {
    await using redis = await startRedis();
    const admin = await redis.client();
    const password = randomBytes(8).toString('hex');
    await admin.sendCommand(aclLine(password));
    const realtime = {
      redis: { url: `redis://realtime:${password}@127.0.0.1:${redis.port}` },
      limits: { transportsPerUser: { max: 2 } },
    };
    const providers = [...historyProviders, SeenPolicy];
    await using one = await bootApp({ providers, realtime });
    await using two = await bootApp({ providers, realtime });
    await using ada = await connectTo(one, 'ada');
    await using bob = await connectTo(two, 'bob');
    const { position } = await join(ada, { room: 'seen/1', meta: { a: 1 } });
    const rooms = two.app.get(RoomManager);
    const { offset = 0, epoch = '' } = await rooms.publish('seen/1', 'said', 1, { id: 'x', ttlMs: 10_000 });
    await ada.inbox.next('said');
    expect(missed(await join(bob, { room: 'seen/1', position }))).toEqual([1]);
    expect((await rooms.history('seen/1', { limit: 5 })).publications).toHaveLength(1);
    expect(await rooms.remove('seen/1', { offset, epoch })).toBe(true);
    await rooms.clear('seen/1');
    await rooms.publish('plain/1', 'said', 1, { id: 'y' });
    const presence = one.app.get(PresenceService);
    await eventually(async () => expect(await presence.count('seen/1')).toBe(2));
    expect((await presence.list('seen/1')).users).toHaveLength(2);
    expect(await presence.isOnline('ada')).toMatchObject({ online: true });
    await ada.ask('realtime:meta', { room: 'seen/1', meta: 2 });
    await ada.ask('realtime:leave', { room: 'seen/1' });
    await rooms.kick('seen/1', { userId: 'bob' });
    await bob.inbox.next('realtime:room');
    await one.app.get(RealtimeService).revoke({ userId: 'bob' });
    await bob.inbox.next('disconnect');
    expect(await admin.sendCommand(['ACL', 'LOG'])).toEqual([]);
  });
});
