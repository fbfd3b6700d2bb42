import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RealtimeService, RoomManager, RoomPolicy, type CanJoin } from 'nestjs-realtime';
import { createRealtimeClient } from 'nestjs-realtime-client';
import { ManualClock } from 'nestjs-realtime/testing';
import { bootApp, type TestApp } from '../../support/app.js';
import { eventually } from '../../support/eventually.js';
import { connectedClient, type StockClient } from '../../support/inbox.js';
import { mintToken } from '../../support/tokens.js';

const KEPT = 280;

@RoomPolicy('chat/:id', { history: { size: 300, ttlMs: 3_600_000 } })
class ChatPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway()
class RootGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

@WebSocketGateway({ namespace: 'other' })
class OtherGateway {}

interface Answer {
  readonly room?: string;
  readonly recovered?: boolean;
  readonly publications?: readonly unknown[];
  readonly error?: { readonly code: string; readonly retryAfterMs?: number };
}

const limited = { error: expect.objectContaining({ code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) }) };
const bytesOf = (answers: readonly unknown[]): number => JSON.stringify(answers).length;
const waitOf = (answers: readonly Answer[]): number =>
  Math.max(...answers.map(({ error }) => error?.retryAfterMs ?? 0));
const roomsOf = (count: number, from = 0): { room: string }[] =>
  Array.from({ length: count }, (_, index) => ({ room: `chat/${from + index}` }));

let clock: ManualClock;
let app: TestApp;
let mallory: StockClient;

async function boot(limits: object = {}): Promise<void> {
  clock = new ManualClock(Date.now());
  app = await bootApp({ providers: [ChatPolicy, RootGateway, OtherGateway], clock, realtime: { limits } });
  mallory = await connectedClient(app.url, { auth: { token: mintToken('mallory') } });
}

/** Almost as much as one answer brings. */
async function fill(room: string): Promise<void> {
  const rooms = app.app.get(RoomManager);
  for (let nth = 0; nth < KEPT; nth += 1) await rooms.publish(room, 'message', 'x'.repeat(800));
}

afterEach(async () => {
  await mallory[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

describe('when a client asks for what a room has kept again and again', () => {
  /** 16 KiB for each of the 200 messages that may come at once. */
  const BURST = 200 * 16_384;
  const ONE = 262_144;
  const history = (limit = 300): Promise<Answer> =>
    mallory.ask('realtime:history', { room: 'chat/1', limit }) as Promise<Answer>;

  beforeEach(async () => {
    // Without a bound of what waits for a client: one that asks for so much is not ended here.
    await boot({ maxSendBufferBytes: 0 });
    await fill('chat/1');
    await mallory.ask('realtime:join', { room: 'chat/1' });
  });

  it('is answered as many bytes as its messages allow, then told when to ask again', async () => {
    const answers: Answer[] = [];
    while (answers.at(-1)?.error === undefined) {
      answers.push(await history());
      expect(answers.length).toBeLessThan(100);
    }
    expect(answers.at(-1)).toEqual(limited);
    expect(bytesOf(answers)).toBeLessThan(BURST + 2 * ONE);
    expect(bytesOf(answers)).toBeGreaterThan(BURST - ONE);
    expect(await mallory.ask('ping')).toBe('pong');
    clock.advance(waitOf(answers));
    expect((await history()).publications).toHaveLength(KEPT);
    expect(await history()).toEqual(limited);
  });

  it('is not answered more when it asks for all of it at once', async () => {
    const answers = await Promise.all(Array.from({ length: 150 }, () => history()));
    const answered = answers.filter(({ error }) => error === undefined);
    expect(answered.length).toBeGreaterThan(0);
    // What is not read yet counts as small publications: three times as much may be on its way.
    expect(bytesOf(answered)).toBeLessThan(4 * BURST);
    expect(answers.filter(({ error }) => error?.code === 'RATE_LIMITED')).toHaveLength(150 - answered.length);
    expect(await history()).toEqual(limited);
  });

  it('may ask for a page of each of its rooms at once, if they are small', async () => {
    await mallory.ask('realtime:join', { rooms: roomsOf(120, 100) });
    const asking = roomsOf(120, 100).map(({ room }) => mallory.ask('realtime:history', { room, limit: 50 }));
    const answers = (await Promise.all(asking)) as Answer[];
    expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it('gets nothing by opening its connection again on the same transport', async () => {
    while ((await history()).error === undefined);
    const other = mallory.socket.io.socket('/other', { auth: { token: mintToken('mallory') } });
    await new Promise<void>((resolve) => void other.on('connect', resolve));
    const join = { room: 'chat/1', since: 'retention' };
    expect(await other.emitWithAck('realtime:join', join)).toEqual(limited);
  });

  it('gets nothing by another transport in place of the first', async () => {
    while ((await history()).error === undefined);
    mallory.socket.disconnect();
    await eventually(() => expect(app.app.get(RealtimeService).stats().connections).toBe(0));
    await using again = await connectedClient(app.url, { auth: { token: mintToken('mallory') } });
    expect(await again.ask('realtime:join', { room: 'chat/1', since: 'retention' })).toEqual(limited);
    await using ada = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    expect(await ada.ask('realtime:join', { room: 'chat/1', since: 'retention' })).toMatchObject({ recovered: true });
  });

  it('recovers by joins at the same price, and loses nothing by waiting', async () => {
    const before = (await mallory.ask('realtime:join', { room: 'chat/1' })) as { position: { epoch: string } };
    const position = { epoch: before.position.epoch, offset: 0 };
    const rejoin = (): Promise<Answer> => mallory.ask('realtime:join', { room: 'chat/1', position }) as Promise<Answer>;
    const answers: Answer[] = [];
    while (answers.at(-1)?.error === undefined) {
      answers.push(await rejoin());
      expect(answers.length).toBeLessThan(100);
    }
    expect(answers.at(-1)).toEqual(limited);
    expect(bytesOf(answers)).toBeLessThan(BURST + 2 * ONE);
    expect(await mallory.ask('realtime:join', before)).toMatchObject({ recovered: true, publications: [] });
    clock.advance(waitOf(answers));
    const later = await rejoin();
    expect(later).toMatchObject({ room: 'chat/1', recovered: true });
    expect(later.publications).toHaveLength(KEPT);
  });
});

describe('when a client comes back', () => {
  const join = (rooms: readonly object[]): Promise<Answer[]> =>
    mallory.ask('realtime:join', { rooms }) as Promise<Answer[]>;

  it('gets what it missed in 127 rooms of each of two namespaces, however low its rate is', async () => {
    await boot({ messagesPerSecond: 5, burst: 30 });
    const rooms = roomsOf(127);
    const manager = app.app.get(RoomManager);
    const wanted = rooms.map(({ room }) => ({ room, since: 'retention' }));
    for (const { room } of rooms) await manager.publish(room, 'message', 'x'.repeat(3_000));
    const other = mallory.socket.io.socket('/other', { auth: { token: mintToken('mallory') } });
    await new Promise<void>((resolve) => void other.on('connect', resolve));
    const answers = await Promise.all([join(wanted), other.emitWithAck('realtime:join', { rooms: wanted })]);
    const expected = rooms.map(({ room }) => ({ room, recovered: true, publications: [expect.anything()] }));
    for (const answer of answers) expect(answer).toMatchObject(expected);
  });
});

describe('when our client asks to join more rooms than it may at once', () => {
  it('waits as it is told, and is in all of them', async () => {
    await boot();
    await using real = await bootApp({
      providers: [ChatPolicy, RootGateway],
      realtime: { limits: { maxRooms: 0, joinsPerSecond: 200, joinBurst: 256 } },
    });
    const client = createRealtimeClient(real.url, { getToken: () => mintToken('ada') });
    const names = Array.from({ length: 450 }, (_, nth) => `chat/${nth}`);
    await Promise.all(names.map((name) => client.room(name).join()));
    expect(names.every((name) => client.room(name).phase === 'joined')).toBe(true);
    client.close();
  });
});
