import { Subject } from 'rxjs';
import type { Incarnation } from '../core/ids.js';
import { noMetrics } from '../core/metrics.js';
import { MemoryPresenceStore } from '../memory/memory-presence-store.js';
import { ManualClock } from '../testing/manual-clock.js';
import { NodePresence } from './node-presence.js';
import type { PresenceTransition } from './presence-store.js';
import { PresenceService, type PresenceEvent } from './presence.service.js';

function create() {
  const clock = new ManualClock();
  const store = new MemoryPresenceStore({ clock, publish: () => undefined });
  const transitions = new Subject<PresenceTransition>();
  const node = new NodePresence({
    store,
    clock,
    incarnations: { current: () => 'n1.1' as Incarnation, onChange: () => () => undefined },
    onTransition: (transition) => transitions.next(transition),
    metrics: noMetrics,
  });
  const service = new PresenceService(store, node, transitions);
  const events: PresenceEvent[] = [];
  service.changes.subscribe((event) => events.push(event));
  return {
    clock,
    node,
    service,
    events,
    tell: () => events.map(({ type, room, user }) => `${type} ${room} ${user.id}`),
  };
}

const ada = { userId: 'ada', connectionId: 'c1', device: 'd' };

describe('when rooms change', () => {
  it('tells joins, updates and leaves, occupied first and empty last, and nothing of user rooms', async () => {
    const { node, tell } = create();
    await node.enter('user/ada', ada);
    await node.enter('chat/1', ada);
    await node.enter('chat/1', { ...ada, userId: 'bob', connectionId: 'c2' });
    await node.update('chat/1', ada, 1);
    await node.leave('chat/1', ada);
    await node.leave('chat/1', { userId: 'bob', connectionId: 'c2' });
    await node.leave('user/ada', ada);
    expect(tell()).toEqual([
      'occupied chat/1 ada',
      'join chat/1 ada',
      'join chat/1 bob',
      'update chat/1 ada',
      'leave chat/1 ada',
      'leave chat/1 bob',
      'empty chat/1 bob',
    ]);
  });
});

describe('when presence is read', () => {
  it('lists, gets and counts users', async () => {
    const { node, service } = create();
    await node.enter('r', { ...ada, meta: { a: [] } });
    await node.enter('r', { ...ada, connectionId: 'c2', device: 'e' });
    await node.enter('r', { ...ada, userId: 'bob', connectionId: 'c3' });
    const user = { id: 'ada', devices: [{ device: 'd', meta: { a: [] } }, { device: 'e' }] };
    expect(await service.get('r', 'ada')).toEqual(user);
    expect(await service.count('r')).toBe(2);
    const first = await service.list('r', { limit: 1 });
    expect(first.users).toEqual([user]);
    expect((await service.list('r', { cursor: first.next })).users).toMatchObject([{ id: 'bob' }]);
  });

  it('knows who is online, and when the others were', async () => {
    const { clock, node, service } = create();
    expect(await service.isOnline('a b')).toEqual({ online: false });
    const entry = { ...ada, userId: 'a b' };
    await node.enter('user/a%20b', entry);
    expect(await service.isOnline('a b')).toEqual({ online: true });
    await node.leave('user/a%20b', entry);
    const leftAt = clock.unixNow();
    clock.advance(3_600_000);
    expect(await service.isOnline('a b')).toEqual({ online: false, lastSeen: leftAt });
    clock.advance(7 * 86_400_000);
    expect(await service.isOnline('a b')).toEqual({ online: false });
  });

  it.each(['', undefined, [], null, 'realtime:x', 'a b', 'x'.repeat(201)] as string[])(
    'refuses room %j',
    async (room) => {
      const { service } = create();
      const refusal = { code: 'BAD_REQUEST', details: [{ field: 'room' }] };
      await expect(service.list(room)).rejects.toMatchObject(refusal);
      await expect(service.get(room, 'ada')).rejects.toMatchObject(refusal);
      await expect(service.count(room)).rejects.toMatchObject(refusal);
      await expect(service.update({ id: 'c1', principal: { id: 'ada' } }, room, 1)).rejects.toMatchObject(refusal);
    },
  );

  it.each([0, 1_001, 1.5, Number.NaN, '5' as unknown as number])('refuses limit %j', async (limit) => {
    await expect(create().service.list('r', { limit })).rejects.toMatchObject({ details: [{ field: 'limit' }] });
  });

  it.each(['', undefined, []] as string[])('refuses user %j', async (userId) => {
    const refusal = { code: 'BAD_REQUEST', details: [{ field: 'userId' }] };
    await expect(create().service.isOnline(userId)).rejects.toMatchObject(refusal);
    await expect(create().service.get('r', userId)).rejects.toMatchObject(refusal);
  });
});

describe('when metadata is updated', () => {
  it('takes JSON of a connection in the room, and names the field otherwise', async () => {
    const { node, service } = create();
    const connection = { id: 'c1', principal: { id: 'ada' } };
    await expect(service.update(connection, 'r', 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await node.enter('r', ada);
    await service.update(connection, 'r', { status: 'away' });
    expect((await service.get('r', 'ada'))?.devices).toEqual([{ device: 'd', meta: { status: 'away' } }]);
    const refusal = { code: 'BAD_REQUEST', details: [{ field: 'meta' }] };
    await expect(service.update(connection, 'r', 'x'.repeat(2_047))).rejects.toMatchObject(refusal);
    await expect(service.update(connection, 'r', 1n)).rejects.toMatchObject(refusal);
    await service.update(connection, 'r', 'x'.repeat(2_046));
  });
});
