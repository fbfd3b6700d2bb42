import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RealtimeService, RoomPolicy, type CanJoin, type CanPublish, type RoomContext } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { Gate } from '../support/gate.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

const gate = new Gate();

@RoomPolicy('slow/:id')
class SlowPolicy implements CanJoin, CanPublish {
  async canJoin({ room }: RoomContext): Promise<boolean> {
    await gate.pass(room);
    return true;
  }

  canPublish(): boolean {
    return true;
  }
}

@RoomPolicy('fast/:id')
class FastPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway()
class FenceGateway {
  @SubscribeMessage('fence')
  fence(): string {
    return 'fence';
  }
}

const limited = { error: expect.objectContaining({ code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) }) };
const names = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `slow/${from + index}`);
const list = (rooms: readonly string[]) => ({ rooms: rooms.map((room) => ({ room })) });

describe('joins of one connection', () => {
  let node: TestApp;
  let ada: StockClient;

  beforeEach(async () => {
    gate.arrivals.length = 0;
    gate.shut();
    const realtime = { limits: { messagesPerSecond: 0 } };
    node = await bootApp({ providers: [SlowPolicy, FastPolicy, FenceGateway], realtime });
    ada = await connectedClient(node.url, { auth: { token: mintToken('ada') } });
  });

  afterEach(async () => {
    gate.open();
    await ada[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
  });

  const join = (room: string): Promise<unknown> => ada.ask('realtime:join', { room });

  it('wait for joins and leaves of their own room only', async () => {
    const slow = join('slow/1');
    await gate.reached('slow/1');
    expect(await join('fast/1')).toEqual({ room: 'fast/1' });
    expect(await ada.ask('realtime:leave', { room: 'fast/1' })).toBeNull();
    const [left, again] = [ada.ask('realtime:leave', { room: 'slow/1' }), join('slow/1')];
    await ada.ask('fence');
    expect(gate.arrivals).toEqual(['slow/1']);
    gate.open();
    expect(await Promise.all([slow, left, again])).toEqual([{ room: 'slow/1' }, null, { room: 'slow/1' }]);
    expect(await ada.ask('realtime:publish', { room: 'slow/1', event: 'said', data: 1 })).toMatchObject({});
  });

  it('may be as many as a client asks for that comes back to all its rooms', async () => {
    const lists = [names(128), names(128, 128)].map((rooms) => ada.ask('realtime:join', list(rooms)));
    await gate.reached('slow/255');
    gate.open();
    const answers = (await Promise.all(lists)).flat() as object[];
    // With its user's own room it is in 128.
    expect(answers.slice(0, 127)).toEqual(names(127).map((room) => ({ room })));
    const tooMany = { error: expect.objectContaining({ code: 'LIMIT_EXCEEDED' }) };
    expect(answers.slice(127)).toEqual(names(129, 127).map((room) => ({ room, ...tooMany })));
  });

  it('are refused when 16 wait already, and may be asked for again', async () => {
    const joined = Array.from({ length: 20 }, () => join('slow/1'));
    const refused = await Promise.all(joined.slice(17));
    expect(refused).toEqual([limited, limited, limited]);
    expect(gate.arrivals).toEqual(['slow/1']);
    gate.open();
    expect(await Promise.all(joined.slice(0, 17))).toEqual(Array.from({ length: 17 }, () => ({ room: 'slow/1' })));
    expect(await join('slow/1')).toEqual({ room: 'slow/1' });
  });

  it('count room by room in a list, and each room is told', async () => {
    const first = ada.ask('realtime:join', list(names(20)));
    await gate.reached('slow/19');
    const second = ada.ask('realtime:join', list([...names(20), 'fast/1']));
    await ada.ask('fence');
    gate.open();
    expect(await first).toEqual(names(20).map((room) => ({ room })));
    expect(await second).toEqual([
      ...names(16).map((room) => ({ room })),
      ...names(4, 16).map((room) => ({ room, ...limited })),
      { room: 'fast/1' },
    ]);
  });

  it('are refused beyond 256 rooms at a time', async () => {
    const lists = [0, 128, 256].map((from) => ada.ask('realtime:join', list(names(128, from))));
    const last = (await lists[2]) as object[];
    expect(last).toEqual(names(128, 256).map((room) => ({ room, ...limited })));
    expect(gate.arrivals).toHaveLength(256);
    gate.open();
    await Promise.all(lists);
  });

  it('let other requests wait behind them, up to a bound', async () => {
    const joined = join('slow/1');
    const leaves = Array.from({ length: 130 }, () => ada.ask('realtime:leave', { room: 'slow/1' }));
    expect(await Promise.all(leaves.slice(128))).toEqual([limited, limited]);
    gate.open();
    expect(await joined).toEqual({ room: 'slow/1' });
    expect(new Set(await Promise.all(leaves.slice(0, 128)))).toEqual(new Set([null]));
  });

  it.each([
    ['leaves', () => ada.socket.disconnect()],
    ['is disconnected', () => node.app.get(RealtimeService).disconnect({ userId: 'ada' })],
  ])('end with the connection that %s: no policy is asked any more', async (_, end) => {
    for (let index = 0; index < 10; index += 1) ada.socket.emit('realtime:join', { room: 'slow/1' });
    ada.socket.emit('realtime:join', list(names(3)));
    await ada.ask('fence');
    expect(gate.arrivals).toEqual(['slow/1', 'slow/0', 'slow/2']);
    await end();
    await eventually(() => expect(node.app.get(RealtimeService).stats().connections).toBe(0));
    gate.open();
    await using bob = await connectedClient(node.url, { auth: { token: mintToken('bob') } });
    expect(await bob.ask('realtime:join', { room: 'slow/bob' })).toEqual({ room: 'slow/bob' });
    expect(gate.arrivals).toEqual(['slow/1', 'slow/0', 'slow/2', 'slow/bob']);
  });
});
