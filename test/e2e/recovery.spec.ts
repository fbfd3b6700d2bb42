import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { JoinReply } from 'nestjs-realtime-protocol';
import { SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import type { Server } from 'socket.io';
import { RealtimeService, RoomManager } from 'nestjs-realtime';
import { bootPair, type AppPair } from '../support/app-pair.js';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import type { StockClient } from '../support/inbox.js';
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

const refused = (code: string) => ({ error: expect.objectContaining({ code }) });
const position = { epoch: expect.any(String) as string, offset: expect.any(Number) as number };

describe.each(['memory', 'redis'] as const)('recovery over %s', (engine) => {
  let pair: AppPair;
  let room: string;

  beforeAll(async () => {
    pair = await bootPair(engine, { providers: historyProviders });
  });

  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    room = `chat/${randomBytes(4).toString('hex')}`;
  });

  const first = (): TestApp => pair.first;
  const last = (): TestApp => pair.last;
  const rooms = (): RoomManager => last().app.get(RoomManager);

  it('gives a position with the join, and exactly what was missed with the next', async () => {
    const ada = await connectTo(first(), 'ada');
    const begun = await join(ada, { room });
    expect(begun).toEqual({ room, position: { epoch: expect.any(String), offset: 0 } });
    await publish(last(), room, range(1, 3));
    await fence(last(), ada, room);
    expect(live(ada, room).map(({ meta }) => meta.offset)).toEqual([1, 2, 3]);
    await ada[Symbol.asyncDispose]();
    await publish(last(), room, range(4, 8));
    await using again = await connectTo(last(), 'ada');
    const reply = await join(again, { room, position: { ...begun.position, offset: 4 } });
    expect(reply).toMatchObject({ room, recovered: true, position: { epoch: begun.position?.epoch, offset: 9 } });
    expect(missed(reply)).toEqual([4, 5, 6, 7, 8]);
    expect(reply.publications?.[0]).toEqual({ event: 'said', data: 4, id: expect.any(String), offset: 5 });
    await publish(last(), room, [9]);
    await fence(last(), again, room);
    expect(live(again, room).map(({ data }) => data)).toEqual([9]);
    expect(missed(await join(again, { room, position: { ...begun.position, offset: 9 } }))).toEqual([
      9,
      expect.any(String),
    ]);
  });

  it('loses and doubles nothing while a publisher hammers and clients come and go', async () => {
    const hammer = hammerOn(last(), room);
    const histories = await Promise.all(
      range(0, 19).map(async (index) => {
        const got: unknown[] = [];
        let at = { epoch: '', offset: 0 };
        for (let round = 0; round < 4; round += 1) {
          const client = await connectTo(pair.nodes[(index + round) % pair.nodes.length] as TestApp, `user${index}`);
          const reply = await join(client, round === 0 ? { room } : { room, position: at });
          if (round > 0) expect(reply.recovered).toBe(true);
          got.push(...(missed(reply) ?? []));
          at = reply.position as typeof at;
          await client.inbox.next('said');
          await client.inbox.next('said');
          await client[Symbol.asyncDispose]();
          for (const { data, meta } of live(client, room)) {
            got.push(data);
            expect(meta).toMatchObject({ epoch: at.epoch, offset: at.offset + 1 });
            at = { epoch: at.epoch, offset: at.offset + 1 };
          }
        }
        return got as number[];
      }),
    );
    await hammer.stop();
    for (const got of histories) expect(got).toEqual(range(got[0] as number, got.at(-1) as number));
  });

  it('answers a list in one turn: nothing of its rooms arrives before the answer', async () => {
    const names = range(1, 20).map((n) => `${room}-${n}`);
    const hammers = names.map((name) => hammerOn(last(), name));
    const ada = await connectTo(first(), 'ada');
    const begun = (await ada.ask('realtime:join', { rooms: names.map((name) => ({ room: name })) })) as JoinReply[];
    await ada.inbox.next('said');
    await ada[Symbol.asyncDispose]();
    await using again = await connectTo(last(), 'ada');
    const wishes = begun.map(({ room: name, position: at }) => ({ room: name, position: at }));
    let atAnswer = -1;
    const replies = await new Promise<JoinReply[]>((resolve) => {
      again.socket.emit('realtime:join', { rooms: [...wishes, { room: 'no/policy' }] }, (answer: JoinReply[]) => {
        atAnswer = again.inbox.all.filter(({ event }) => event === 'said').length;
        resolve(answer);
      });
    });
    expect(atAnswer).toBe(0);
    const tops = await Promise.all(hammers.map((hammer) => hammer.stop()));
    expect(replies.at(-1)).toEqual({ room: 'no/policy', ...refused('FORBIDDEN') });
    for (const [index, name] of names.entries()) {
      await fence(last(), again, name);
      const reply = replies[index] as JoinReply;
      expect(reply.recovered).toBe(true);
      const got = [...(missed(reply) ?? []), ...live(again, name).map(({ data }) => data)];
      expect(got).toEqual(range((begun[index]?.position?.offset ?? 0) + 1, tops[index] ?? 0));
    }
  });

  it('gives all or none: 300 are recovered, 301 are not', async () => {
    await using ada = await connectTo(first(), 'ada');
    const { position: at } = await join(ada, { room });
    await publish(last(), room, range(1, 301));
    await fence(last(), ada, room);
    const none = await join(ada, { room, position: at });
    expect(none).toEqual({ room, position: { epoch: at?.epoch, offset: 302 }, recovered: false });
    const all = await join(ada, { room, position: { ...at, offset: 2 } });
    expect(missed(all)).toEqual([...range(3, 301), expect.any(String)]);
  });

  it('gives none when the room does not keep what is missing', async () => {
    const brief = `brief/${room.slice(5)}`;
    await using ada = await connectTo(first(), 'ada');
    const { position: at } = await join(ada, { room: brief });
    await publish(last(), brief, range(1, 7));
    await using bob = await connectTo(last(), 'bob');
    expect((await join(bob, { room: brief, position: { ...at, offset: 1 } })).recovered).toBe(false);
    await using cleo = await connectTo(last(), 'cleo');
    expect(missed(await join(cleo, { room: brief, position: { ...at, offset: 2 } }))).toEqual(range(3, 7));
    expect(missed(await join(cleo, { room: brief, since: 'retention' }))).toEqual(range(3, 7));
  });

  it('tells who asks for the unknown, and refuses what is no position', async () => {
    await using ada = await connectTo(first(), 'ada');
    const { position: at } = await join(ada, { room });
    await publish(last(), room, [1]);
    await fence(last(), ada, room);
    const none = { room, position, recovered: false };
    expect(await join(ada, { room, position: { epoch: 'other', offset: 0 } })).toEqual(none);
    expect(await join(ada, { room, position: { ...at, offset: 1_000 } })).toEqual(none);
    expect(await join(ada, { room: `plain/${room.slice(5)}`, position: at })).toEqual({
      room: `plain/${room.slice(5)}`,
      recovered: false,
    });
    const bad = [-1, 0.5, Number.MAX_SAFE_INTEGER + 1, NaN, '1', null].map((offset) => ({ epoch: 'e', offset }));
    const others = [
      { epoch: 'e'.repeat(65), offset: 1 },
      { epoch: 5, offset: 1 },
      { epoch: '', offset: 1 },
      7,
      'x',
      [],
    ];
    for (const one of [...bad, ...others]) {
      const answer = (await ada.ask('realtime:join', { room, position: one })) as { error?: { message: string } };
      expect(answer).toEqual(refused('BAD_REQUEST'));
      expect(answer.error?.message).toContain('position');
    }
    expect(await ada.ask('realtime:join', { room, since: 'ever' })).toEqual(refused('BAD_REQUEST'));
    expect(await ada.ask('realtime:join', { room, since: 'retention', position: at })).toEqual(refused('BAD_REQUEST'));
  });

  it('gives a newcomer what the room keeps, if it asks for it', async () => {
    await publish(last(), room, range(1, 5));
    await using ada = await connectTo(first(), 'ada');
    expect(missed(await join(ada, { room, since: 'retention' }))).toEqual(range(1, 5));
    await using bob = await connectTo(last(), 'bob');
    expect(await join(bob, { room })).toEqual({ room, position });
  });

  it('leaves out what was erased, what has expired, and what the device was excluded from', async () => {
    const ada = await connectTo(first(), 'ada', 'tab');
    const { position: at } = await join(ada, { room });
    await rooms().publish(room, 'said', 1);
    await rooms().publish(room, 'said', 2, { ttlMs: 1 });
    await first()
      .app.get(RoomManager)
      .publish(room, 'said', 3, { exclude: ada.socket.id as string });
    const fourth = await rooms().publish(room, 'said', 4);
    await publish(last(), room, [5]);
    await fence(last(), ada, room);
    await ada[Symbol.asyncDispose]();
    await rooms().remove(room, { epoch: fourth.epoch as string, offset: fourth.offset as number });
    await using same = await connectTo(last(), 'ada', 'tab');
    expect(missed(await join(same, { room, position: at }))).toEqual([1, 5, expect.any(String)]);
    await using other = await connectTo(first(), 'ada', 'phone');
    expect(missed(await join(other, { room, position: at }))).toEqual([1, 3, 5, expect.any(String)]);
    await rooms().clear(room);
    await fence(last(), other, room);
    expect((await join(other, { room, position: at })).recovered).toBe(false);
    expect(missed(await join(other, { room, position: { ...at, offset: 6 } }))).toEqual([expect.any(String)]);
  });

  it('recovers what was sent to a user who was away, on each device', async () => {
    const sender = last().app.get(RealtimeService).toUser('eve');
    const tab = await connectTo(first(), 'eve', 'tab');
    const [hello] = (await tab.inbox.next('realtime:hello')).args as [{ userRoom?: string }];
    expect(hello.userRoom).toBe('user/eve');
    const { position: at } = await join(tab, { room: 'user/eve' });
    await sender.publish('said', 1);
    await tab.inbox.next('said');
    await tab[Symbol.asyncDispose]();
    await sender.publish('said', 2);
    await sender.publish('said', 3);
    for (const node of [first(), last()]) {
      await using back: StockClient = await connectTo(node, 'eve', 'tab');
      const reply = await join(back, { room: 'user/eve', position: { ...at, offset: (at?.offset ?? 0) + 1 } });
      expect(missed(reply)).toEqual([2, 3]);
    }
  });

  it('delivers to a user who never joined the own room, and goes on from the first thing heard', async () => {
    await using tab = await connectTo(first(), 'fay');
    const sender = last().app.get(RealtimeService).toUser('fay');
    for (const n of range(1, 3)) await sender.publish('said', n);
    for (const n of range(1, 3)) expect((await tab.inbox.next('said')).args[0]).toBe(n);
    const { meta } = live(tab, 'user/fay')[0] as { meta: { epoch: string } };
    const reply = await join(tab, { room: 'user/fay', position: { epoch: meta.epoch, offset: 1 } });
    expect(missed(reply)).toEqual([2, 3]);
  });
});

@WebSocketGateway()
class OpenGateway {
  static fences = 0;
  @WebSocketServer() server!: Server;

  @SubscribeMessage('fence')
  fence(): void {
    OpenGateway.fences += 1;
  }

  /** What waits for the only client, in UTF-16 units. */
  get waiting(): number {
    const [transport] = Object.values(
      (this.server.engine as unknown as { clients: Record<string, Transport> }).clients,
    );
    return (transport?.writeBuffer ?? []).reduce((sum, { data }) => sum + data.length, 0);
  }
}

interface Transport {
  readonly writeBuffer: readonly { readonly data: string }[];
}

describe('when a client that joins does not read', () => {
  it('is let in and answered when less than half of its send buffer is left', async () => {
    const maxSendBufferBytes = 1_048_576;
    await using node = await bootApp({
      providers: [...historyProviders, OpenGateway],
      realtime: { limits: { maxSendBufferBytes } },
    });
    await using ada = await connectTo(node, 'ada');
    const engine = ada.socket.io.engine as unknown as { transport: { ws: { _socket: Socket } } };
    const wire = engine.transport.ws._socket;
    const gateway = node.app.get(OpenGateway);
    const rooms = node.app.get(RoomManager);
    wire.pause();
    await eventually(() => {
      rooms.emit('user/ada', 'block', 'x'.repeat(32_768));
      expect(gateway.waiting).toBeGreaterThan(maxSendBufferBytes * 0.6);
    });
    const answer = join(ada, { room: 'chat/slow' });
    ada.socket.emit('fence');
    await eventually(() => expect(OpenGateway.fences).toBe(1));
    expect(await rooms.count('chat/slow')).toBe(0);
    wire.resume();
    expect(await answer).toEqual({ room: 'chat/slow', position });
    expect(await rooms.count('chat/slow')).toBe(1);
  });
});

describe('when what was missed is more than a connection can take at once', () => {
  const maxSendBufferBytes = 40_000;

  it('answers some rooms of a list now and the others when asked again, and gives up what never fits', async () => {
    await using node = await bootApp({
      providers: historyProviders,
      realtime: { limits: { maxSendBufferBytes, maxPayloadBytes: 30_000 } },
    });
    const names = ['chat/one', 'chat/two', 'chat/large'];
    const ada = await connectTo(node, 'ada');
    const begun = await Promise.all(names.map((room) => join(ada, { room })));
    await ada[Symbol.asyncDispose]();
    const rooms = node.app.get(RoomManager);
    const text = 'x'.repeat(4_000);
    for (const name of ['chat/one', 'chat/two'])
      for (const n of range(1, 3)) await rooms.publish(name, 'said', [n, text]);
    for (const n of range(1, 6)) await rooms.publish('chat/large', 'said', [n, text]);
    await using bob = await connectTo(node, 'bob');
    const wishes = begun.map(({ room, position: at }) => ({ room, position: at }));
    const [one, two, large] = (await bob.ask('realtime:join', { rooms: wishes })) as JoinReply[];
    expect(one).toMatchObject({ recovered: true, publications: [{ offset: 1 }, { offset: 2 }, { offset: 3 }] });
    expect(two).toEqual({
      room: 'chat/two',
      error: expect.objectContaining({ code: 'UNAVAILABLE', retryable: true, retryAfterMs: expect.any(Number) }),
    });
    expect(large).toEqual({ room: 'chat/large', position, recovered: false });
    await rooms.publish('chat/two', 'said', 4);
    await fence(node, bob, 'chat/one');
    expect(live(bob, 'chat/two')).toEqual([]);
    const again = await join(bob, wishes[1] as object);
    expect(again).toMatchObject({
      recovered: true,
      publications: [{ offset: 1 }, { offset: 2 }, { offset: 3 }, { offset: 4 }],
    });
  });
});
