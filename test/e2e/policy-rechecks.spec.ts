import { ConnectedSocket, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Socket } from 'socket.io';
import { RoomManager, RoomPolicy, type CanJoin, type ErrorContext, type JoinDecision } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { LeapingClock } from '../support/leaping-clock.js';
import { mintToken } from '../support/tokens.js';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

@RoomPolicy('hourly/:id', { history: { size: 10, ttlMs: 600_000 } })
class HourlyPolicy implements CanJoin {
  static asked = 0;
  static decide: () => JoinDecision | Promise<JoinDecision>;

  canJoin(): JoinDecision | Promise<JoinDecision> {
    HourlyPolicy.asked += 1;
    return HourlyPolicy.decide();
  }
}

@WebSocketGateway()
class FenceGateway {
  @SubscribeMessage('fence')
  fence(@ConnectedSocket() client: Socket): string {
    return client.id;
  }
}

const allowed = (): JoinDecision => ({ allow: true, expiresInMs: HOUR_MS });
const down = (): never => {
  throw new Error('ECONNREFUSED');
};

describe('a policy that is asked again', () => {
  let clock: LeapingClock;
  let node: TestApp;
  let ada: StockClient;
  const errors: [string, ErrorContext][] = [];

  beforeEach(async () => {
    clock = new LeapingClock();
    HourlyPolicy.decide = allowed;
    errors.length = 0;
    const onError = (error: unknown, context: ErrorContext): void => void errors.push([String(error), context]);
    node = await bootApp({ providers: [HourlyPolicy, FenceGateway], realtime: { onError }, clock });
    ada = await connectedClient(node.url, { auth: { token: mintToken('ada') } });
    HourlyPolicy.asked = 0;
  });

  afterEach(async () => {
    await ada[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
    clock[Symbol.dispose]();
  });

  const join = (room: string): Promise<unknown> => ada.ask('realtime:join', { room });
  const joinedOften = async (): Promise<void> => {
    await Promise.all(Array.from({ length: 15 }, () => join('hourly/1')));
    HourlyPolicy.asked = 0;
  };

  it('is asked once for a room that was joined many times, and not after a leave or an end', async () => {
    await joinedOften();
    clock.leap(HOUR_MS + MINUTE_MS);
    await ada.ask('fence');
    expect(HourlyPolicy.asked).toBe(1);
    await join('hourly/2');
    await ada.ask('realtime:leave', { room: 'hourly/1' });
    HourlyPolicy.asked = 0;
    clock.leap(HOUR_MS + MINUTE_MS);
    await ada.ask('fence');
    expect(HourlyPolicy.asked).toBe(1);
    await using bob = await connectedClient(node.url, {
      auth: { token: mintToken('bob') },
    });
    await ada[Symbol.asyncDispose]();
    await eventually(async () => expect(await node.app.get(RoomManager).count('hourly/2')).toBe(0));
    clock.leap(HOUR_MS + MINUTE_MS);
    await bob.ask('fence');
    expect(HourlyPolicy.asked).toBe(1);
  });

  it('keeps its members while it fails, says so once, and goes on when it answers', async () => {
    await joinedOften();
    HourlyPolicy.decide = down;
    clock.leap(HOUR_MS);
    await eventually(() => expect(errors).toHaveLength(1));
    expect(errors[0]).toEqual(['Error: ECONNREFUSED', expect.objectContaining({ userId: 'ada' })]);
    HourlyPolicy.decide = allowed;
    HourlyPolicy.asked = 0;
    clock.leap(MINUTE_MS);
    await ada.ask('fence');
    expect(HourlyPolicy.asked).toBe(1);
    await node.app.get(RoomManager).publish('hourly/1', 'news', 1);
    await ada.inbox.next('news');
    expect(ada.inbox.all.filter(({ event }) => event === 'realtime:room')).toEqual([]);
  });

  it.each([
    ['fails', down],
    ['never answers', () => new Promise<never>(() => undefined)],
  ])('lets the room end as what may be tried again when it %s for too long', async (_, decide) => {
    await joinedOften();
    HourlyPolicy.decide = decide;
    clock.leap(HOUR_MS);
    await ada.ask('fence');
    clock.leap(9 * MINUTE_MS);
    await ada.ask('fence');
    expect(ada.inbox.all.filter(({ event }) => event === 'realtime:room')).toEqual([]);
    clock.leap(MINUTE_MS);
    expect((await ada.inbox.next('realtime:room')).args).toEqual([
      { room: 'hourly/1', status: 'kicked', code: 'UNAVAILABLE', retryable: true },
    ]);
    HourlyPolicy.decide = allowed;
    expect(await join('hourly/1')).toMatchObject({ room: 'hourly/1' });
  });
});
