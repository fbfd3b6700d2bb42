import { randomBytes } from 'node:crypto';
import { SubscribeMessage, WebSocketGateway, ConnectedSocket } from '@nestjs/websockets';
import type { Socket } from 'socket.io';
import {
  PresenceService,
  RealtimeService,
  RoomManager,
  RoomPolicy,
  type CanJoin,
  type CanPublish,
  type RoomContext,
} from 'nestjs-realtime';
import { bootPair, type AppPair } from '../support/app-pair.js';
import type { TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { Gate } from '../support/gate.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

const joins = new Gate();
const publications = new Gate();
const banned = new Set<string>();

@RoomPolicy('slow/:id', { presence: true, history: { size: 100, ttlMs: 600_000 } })
class SlowPolicy implements CanJoin, CanPublish {
  async canJoin({ principal }: RoomContext): Promise<boolean> {
    const isAllowed = !banned.has(principal.id);
    if (principal.id !== 'witness') await joins.pass(principal.id);
    return isAllowed;
  }

  async canPublish({ principal }: RoomContext): Promise<boolean> {
    await publications.pass(principal.id);
    return true;
  }
}

@WebSocketGateway()
class PlainGateway {
  @SubscribeMessage('fence')
  fence(): string {
    return 'fence';
  }

  @SubscribeMessage('throw-me-out')
  throwOut(@ConnectedSocket() client: Socket): void {
    client.disconnect(true);
  }
}

const refused = { error: expect.objectContaining({ code: 'FORBIDDEN' }) };

describe.each(['memory', 'redis'] as const)('who is removed from a room over %s', (engine) => {
  let pair: AppPair;
  let room: string;
  /** Another one each time: a revocation is for ever. */
  let user: string;
  let witness: StockClient;

  beforeAll(async () => {
    pair = await bootPair(engine, { providers: [SlowPolicy, PlainGateway] });
  });

  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    room = `slow/${randomBytes(4).toString('hex')}`;
    user = `mallory-${randomBytes(4).toString('hex')}`;
    joins.arrivals.length = publications.arrivals.length = 0;
    banned.clear();
    witness = await connect(here(), 'witness');
  });

  afterEach(async () => {
    joins.open();
    publications.open();
    await witness[Symbol.asyncDispose]();
  });

  const here = (): TestApp => pair.first;
  const rooms = (): RoomManager => pair.last.app.get(RoomManager);
  const connect = (node: TestApp, name: string): Promise<StockClient> =>
    connectedClient(node.url, { auth: { token: mintToken(name) } });
  const join = (client: StockClient): Promise<unknown> => client.ask('realtime:join', { room });

  /**
   * Commands are carried out in order: the node of our clients has done all those before when the witness is out of a room of
   * its own. Not of `room`: a join that is under way when that is closed is refused, as it should be.
   */
  const whenCarriedOut = async (): Promise<void> => {
    const own = `${room}-witness`;
    expect(await witness.ask('realtime:join', { room: own })).toMatchObject({ room: own });
    await rooms().kick(own, { userId: 'witness' });
    await witness.inbox.next('realtime:room');
  };
  const isOut = async (client: StockClient): Promise<void> => {
    await rooms().publish(room, 'secret', 1);
    expect(await join(witness)).toMatchObject({ room });
    await rooms().publish(room, 'seen', 1);
    await witness.inbox.next('seen');
    await client.ask('realtime:leave', { room });
    expect(client.inbox.all.filter(({ event }) => event === 'secret')).toEqual([]);
    await eventually(async () => {
      expect(await pair.first.app.get(PresenceService).get(room, user)).toBeUndefined();
      expect(await rooms().count(room)).toBe(1);
    });
  };

  const removals: [string, () => Promise<void>][] = [
    ['kicks the user', () => rooms().kick(room, { userId: user })],
    ['closes the room', () => rooms().close(room)],
  ];

  it.each(removals)('does not get in by a join that is being decided when server code %s', async (_, remove) => {
    await using mallory = await connect(here(), user);
    joins.shut();
    const joined = join(mallory);
    await joins.reached(user);
    await remove();
    await whenCarriedOut();
    joins.open();
    expect(await joined).toEqual(refused);
    await isOut(mallory);
  });

  it('does not get in by a connection that is kicked by its id', async () => {
    await using mallory = await connect(here(), user);
    await using other = await connect(here(), user);
    joins.shut();
    const joined = [join(mallory), join(other)];
    await joins.reached(user, 2);
    await rooms().kick(room, { connectionId: mallory.socket.id as string });
    await whenCarriedOut();
    joins.open();
    expect(await Promise.all(joined)).toEqual([refused, expect.objectContaining({ room })]);
  });

  it.each(removals)('is out for good when it was in and repeats its join while server code %s', async (_, remove) => {
    await using mallory = await connect(here(), user);
    await join(mallory);
    joins.shut();
    const repeated = [1, 2, 3].map(() => join(mallory));
    await joins.reached(user, 2);
    await remove();
    await mallory.inbox.next('realtime:room');
    joins.open();
    expect(await Promise.all(repeated)).toEqual([refused, refused, refused]);
    await isOut(mallory);
  });

  it('does not get in by a list, a recovery or all that it was kept in from', async () => {
    const other = `${room}-2`;
    await using mallory = await connect(here(), user);
    await rooms().publish(room, 'secret', 0);
    const { position } = (await join(mallory)) as { position: unknown };
    await mallory.ask('realtime:leave', { room });
    joins.shut();
    const list = mallory.ask('realtime:join', { rooms: [{ room: other }, { room, position }, { room, since: 'x' }] });
    await joins.reached(user, 3);
    const later = mallory.ask('realtime:join', { room, since: 'retention' });
    await mallory.ask('fence');
    await rooms().kick(room, { userId: user });
    await whenCarriedOut();
    joins.open();
    expect(await list).toEqual([
      expect.objectContaining({ room: other }),
      { room, ...refused },
      { room, error: expect.objectContaining({ code: 'BAD_REQUEST' }) },
    ]);
    expect(await later).toEqual(refused);
    await isOut(mallory);
  });

  it('does not get in by server code that joins it while it is kicked', async () => {
    await using mallory = await connect(here(), user);
    joins.shut();
    const waiting = join(mallory);
    await joins.reached(user);
    const joined = here()
      .app.get(RoomManager)
      .join({ id: mallory.socket.id as string }, room);
    const outcome = joined.then(
      () => 'in',
      (error: unknown) => error,
    );
    await rooms().kick(room, { userId: user });
    await whenCarriedOut();
    joins.open();
    expect(await waiting).toEqual(refused);
    expect(await outcome).toMatchObject({ code: 'FORBIDDEN' });
    await isOut(mallory);
  });

  it('may ask again, and is decided about by what the policy says then', async () => {
    await using mallory = await connect(here(), user);
    await join(mallory);
    await rooms().kick(room, { userId: user });
    await mallory.inbox.next('realtime:room');
    expect(await join(mallory)).toMatchObject({ room });
    banned.add(user);
    await rooms().kick(room, { userId: user });
    await mallory.inbox.next('realtime:room');
    expect(await join(mallory)).toEqual(refused);
  });

  it.each(removals)('publishes nothing that canPublish still looks at when server code %s', async (_, remove) => {
    await using mallory = await connect(here(), user);
    await join(mallory);
    publications.shut();
    const published = mallory.ask('realtime:publish', { room, event: 'spam', data: 1 });
    await publications.reached(user);
    await remove();
    await mallory.inbox.next('realtime:room');
    // Back in, by leave of the policy: what was asked for before stays refused.
    await join(mallory);
    publications.open();
    expect(await published).toEqual(refused);
    expect((await rooms().history(room, { limit: 10 })).publications).toEqual([]);
  });

  const ends: [string, (client: StockClient) => unknown][] = [
    [
      'its credentials are revoked',
      () => pair.last.app.get(RealtimeService).revoke({ userId: user, issuedBefore: new Date() }),
    ],
    ['server code disconnects it', () => pair.last.app.get(RealtimeService).disconnect({ userId: user })],
    ['the app ends its socket', (client) => client.socket.emit('throw-me-out')],
  ];

  it.each(ends)('publishes nothing that canPublish still looks at when %s', async (_, end) => {
    await using mallory = await connect(here(), user);
    await join(witness);
    await join(mallory);
    publications.shut();
    mallory.socket.emit('realtime:publish', { room, event: 'spam', data: 1 });
    await publications.reached(user);
    await end(mallory);
    await mallory.inbox.next('disconnect');
    publications.open();
    await witness.ask('realtime:publish', { room, event: 'seen', data: 1 });
    await witness.inbox.next('seen');
    expect((await rooms().history(room, { limit: 10 })).publications.map(({ event }) => event)).toEqual(['seen']);
  });

  it('is not who leaves by itself: what a client publishes and leaves behind is published', async () => {
    await using mallory = await connect(here(), user);
    await join(mallory);
    publications.shut();
    const published = mallory.ask('realtime:publish', { room, event: 'bye', data: 1 });
    await publications.reached(user);
    await mallory.ask('realtime:leave', { room });
    publications.open();
    expect(await published).toMatchObject({ id: expect.any(String) });
  });
});
