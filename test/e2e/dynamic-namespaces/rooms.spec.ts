import { PresenceService, RoomManager, RoomPolicy, type CanJoin } from 'nestjs-realtime';
import type { JoinReply } from 'nestjs-realtime-protocol';
import { eventually } from '../../support/eventually.js';
import { connectedClient, type StockClient } from '../../support/inbox.js';
import { bootTenants, inLobby, visit, type Tenants } from './tenants.js';

@RoomPolicy('chat/:id', { presence: true, history: { size: 100, ttlMs: 60_000 } })
class ChatPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

const ROOM = 'chat/1';

describe('rooms in dynamic namespaces', () => {
  let tenants: Tenants;

  beforeEach(async () => (tenants = await bootTenants({ providers: [ChatPolicy] })));
  afterEach(() => tenants[Symbol.asyncDispose]());

  const clientIn = (namespace: string, user: string): Promise<StockClient> =>
    connectedClient(`${tenants.url}${namespace}`, { auth: { user } });
  const join = async (client: StockClient, request: object = {}): Promise<JoinReply> =>
    (await client.ask('realtime:join', { room: ROOM, ...request })) as JoinReply;
  const publish = (value: number) => tenants.node.app.get(RoomManager).publish(ROOM, 'said', value);

  it('hold members of several, who hear the same and see each other', async () => {
    await using ada = await clientIn('/tenant-1', 'ada');
    await using bob = await clientIn('/tenant-2', 'bob');
    await join(ada);
    await join(bob);
    await publish(1);
    for (const client of [ada, bob]) expect((await client.inbox.next('said')).args[0]).toBe(1);
    await eventually(async () => {
      const seen = (await ada.ask('realtime:presence', { room: ROOM })) as { users: { id: string }[] };
      expect(seen.users.map(({ id }) => id).toSorted()).toEqual(['ada', 'bob']);
    });
  });

  it('bring a client that comes back what it missed, although its namespace ended meanwhile', async () => {
    const before = await clientIn('/tenant-1', 'ada');
    const { position } = await join(before);
    await publish(1);
    await before.inbox.next('said');
    await before[Symbol.asyncDispose]();
    await eventually(() => expect(tenants.held('/tenant-1')).toBe(0));
    await using other = await inLobby(tenants, 'bob');
    await visit(
      other,
      Array.from({ length: 8 }, (_, place) => `/tenant-${place + 2}`),
    );
    await eventually(() => expect(tenants.tenants()).not.toContain('/tenant-1'));
    await publish(2);
    await using ada = await clientIn('/tenant-1', 'ada');
    const reply = await join(ada, { position });
    expect(reply).toMatchObject({ recovered: true });
    expect(reply.publications?.map(({ data }) => data)).toEqual([1, 2]);
    await publish(3);
    expect((await ada.inbox.next('said')).args[0]).toBe(3);
  });

  it('show nobody whom a middleware of the app has refused', async () => {
    tenants.story.refused.add('eve');
    await using eve = await inLobby(tenants, 'ada');
    expect(await eve.connect('/tenant-1', '{"user":"eve"}')).toMatch(/^4/);
    const presence = tenants.node.app.get(PresenceService);
    await eventually(async () => expect(await presence.isOnline('eve')).toMatchObject({ online: false }));
  });
});
