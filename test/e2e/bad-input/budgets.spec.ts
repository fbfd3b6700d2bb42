import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RoomPolicy } from 'nestjs-realtime';
import { ManualClock } from 'nestjs-realtime/testing';
import { bootApp, type TestApp } from '../../support/app.js';
import { RawClient } from '../../support/raw-client.js';
import { mintToken } from '../../support/tokens.js';

let handled = 0;

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway {
  @SubscribeMessage('work')
  work(): string {
    handled += 1;
    return 'done';
  }
}

const BURST = 40;
/** A 20th of the burst. */
const CONNECT_COST = 2;
@WebSocketGateway({ namespace: 'admin' })
class AdminGateway {}

/** Behind a marker, in case a client must wait: its clock stands still, so nothing flows into a budget by itself. */
const limits = { messagesPerSecond: 10, burst: BURST, abuse: { maxRefusals: 30, windowMs: 60_000 } };

/** CONNECT, or the end of the transport. */
async function connects(client: RawClient, auth: object): Promise<string> {
  client.send(`0/chat,${JSON.stringify(auth)}`);
  const isAnswer = (text: unknown): boolean => /^[04]\/chat,/.test(String(text));
  const { event, args } = await client.inbox.next(
    ({ event, args: [text] }) => event === 'close' || (event === 'packet' && isAnswer(text)),
  );
  return event === 'close' ? 'closed' : String(args[0]);
}

describe('when a client ends its connection and makes it again on one transport', () => {
  let clock: ManualClock;
  let app: TestApp;

  beforeEach(async () => {
    handled = 0;
    clock = new ManualClock(Date.now());
    app = await bootApp({ providers: [ChatGateway], clock, realtime: { limits } });
  });
  afterEach(() => app[Symbol.asyncDispose]());

  it('sends no more messages than on one connection', async () => {
    await using client = await RawClient.open(app.url);
    const auth = { token: mintToken('mallory') };
    let cycles = 0;
    while ((await connects(client, auth)).startsWith('0')) {
      cycles += 1;
      expect(cycles).toBeLessThan(100);
      for (let nth = 0; nth < 5; nth += 1) await client.ask('/chat', '["work"]');
      client.send('1/chat,');
    }
    // Each cycle costs its CONNECT, five messages and a DISCONNECT.
    expect(cycles).toBe(BURST / (CONNECT_COST + 5 + 1));
    expect(handled).toBe(cycles * 5);
  });

  it('is told when it may come again, if it can be told', async () => {
    await using client = await RawClient.open(app.url);
    const auth = { token: mintToken('ada'), rt: { v: 1 } };
    for (let nth = 0; nth < Math.floor(BURST / (CONNECT_COST + 1)); nth += 1) {
      expect(await connects(client, auth)).toMatch(/^0/);
      client.send('1/chat,');
    }
    const refused = await connects(client, auth);
    expect(refused).toContain('"code":"RATE_LIMITED"');
    const { data } = JSON.parse(refused.slice('4/chat,'.length)) as { data: { retryAfterMs: number } };
    clock.advance(data.retryAfterMs);
    expect(await connects(client, auth)).toMatch(/^0/);
  });

  it('loses its transport in the end', async () => {
    await using client = await RawClient.open(app.url);
    const auth = { token: mintToken('ada'), rt: { v: 1 } };
    const answers: string[] = [];
    while (answers.at(-1) !== 'closed') {
      answers.push(await connects(client, auth));
      expect(answers.length).toBeLessThan(200);
      if (answers.at(-1)?.startsWith('0')) client.send('1/chat,');
    }
    expect(answers.filter((answer) => answer.startsWith('4'))).toHaveLength(limits.abuse.maxRefusals);
  });
});

describe('when a user takes a new transport in place of the last one', () => {
  const auth = (user: string) => JSON.stringify({ token: mintToken(user) });
  let clock: ManualClock;
  let app: TestApp;

  beforeEach(async () => {
    handled = 0;
    clock = new ManualClock(Date.now());
    app = await bootApp({ providers: [ChatGateway], clock, realtime: { limits } });
  });
  afterEach(() => app[Symbol.asyncDispose]());

  /** Opens a transport, sends as many messages as are handled, at most `most`, and closes it. */
  async function works(user: string, most: number): Promise<unknown> {
    await using client = await RawClient.open(app.url);
    expect(await client.connect('/chat', auth(user))).toMatch(/^0/);
    let answer: unknown = 'done';
    for (let nth = 0; nth < most && answer === 'done'; nth += 1) answer = await client.ask('/chat', '["work"]');
    return answer;
  }

  it('sends no more messages than on one', async () => {
    const answers: unknown[] = [];
    for (let nth = 0; nth < 6; nth += 1) answers.push(await works('mallory', 20));
    expect(handled).toBe(BURST + 1);
    const limited = {
      error: { code: 'RATE_LIMITED', message: expect.any(String), retryable: true, retryAfterMs: 100 },
    };
    expect(answers).toEqual(['done', 'done', limited, limited, limited, limited]);
    clock.advance(1_000);
    for (let nth = 0; nth < 3; nth += 1) await works('mallory', 20);
    expect(handled).toBe(BURST + 1 + 10);
  });

  it('sends all that it wants while that is moderate, however many it has and takes', async () => {
    await using first = await RawClient.connected(app.url, '/chat', { token: mintToken('robot') });
    await using second = await RawClient.connected(app.url, '/chat', { token: mintToken('robot') });
    for (let nth = 0; nth < 20; nth += 1) {
      expect(await works('robot', 5)).toBe('done');
      clock.advance(200);
    }
    expect(await first.ask('/chat', '["work"]')).toBe('done');
    expect(await second.ask('/chat', '["work"]')).toBe('done');
  });

  it('takes nothing from others', async () => {
    for (let nth = 0; nth < 3; nth += 1) await works('mallory', 20);
    expect(await works('ada', 20)).toBe('done');
  });

  it('keeps a transport that is within its own limit, and logs a line a second', async () => {
    const lines = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    for (let nth = 0; nth < 2; nth += 1) await works('mallory', 20);
    await using client = await RawClient.connected(app.url, '/chat', { token: mintToken('mallory') });
    const answers: unknown[] = [];
    for (let nth = 0; nth < 30; nth += 1) answers.push(await client.ask('/chat', '["work"]'));
    expect(answers.filter((answer) => answer !== 'done')).toHaveLength(29);
    const said = lines.mock.calls.filter(([line]) => String(line).includes('RATE_LIMITED'));
    lines.mockRestore();
    expect(said).toHaveLength(1);
  });
});

describe('when a client joins more rooms than it may', () => {
  @RoomPolicy('room/:id')
  class OpenPolicy {
    canJoin(): boolean {
      return true;
    }
  }
  interface Joined {
    readonly room: string;
    readonly error?: { readonly code: string; readonly retryAfterMs: number };
  }
  const list = (from: number, count: number): string =>
    JSON.stringify([
      'realtime:join',
      { rooms: Array.from({ length: count }, (_, nth) => ({ room: `room/${from + nth}` })) },
    ]);
  const isRefused = ({ error }: Joined): boolean => error?.code === 'RATE_LIMITED';
  const boot = (clock: ManualClock, options: object = {}): Promise<TestApp> =>
    bootApp({
      providers: [ChatGateway, AdminGateway, OpenPolicy],
      clock,
      realtime: { limits: { burst: 10_000, ...options } },
    });

  it('comes back with two namespaces of 127 rooms, and is refused beyond, room by room', async () => {
    const clock = new ManualClock(Date.now());
    await using app = await boot(clock);
    const auth = { token: mintToken('ada') };
    await using client = await RawClient.connected(app.url, '/chat', auth);
    expect(await client.connect('/admin', JSON.stringify(auth))).toMatch(/^0/);
    for (const namespace of ['/chat', '/admin']) {
      const joined = (await client.ask(namespace, list(0, 127))) as Joined[];
      expect(joined.filter(({ error }) => error)).toEqual([]);
    }
    for (let nth = 0; nth < 10; nth += 1) await client.ask('/chat', `["realtime:leave",{"room":"room/${nth}"}]`);
    const mixed = (await client.ask('/chat', list(0, 10))) as Joined[];
    expect(mixed.map(isRefused)).toEqual([false, false, ...Array.from({ length: 8 }, () => true)]);
    expect(mixed.slice(2).map(({ error }) => error?.retryAfterMs)).toEqual([10, 20, 30, 40, 50, 60, 70, 80]);
    expect(mixed.slice(2).map(({ room }) => room)).toEqual([2, 3, 4, 5, 6, 7, 8, 9].map((nth) => `room/${nth}`));
    clock.advance(80);
    const again = (await client.ask('/chat', list(2, 8))) as Joined[];
    expect(again.filter(({ error }) => error)).toEqual([]);
    const single = await client.ask('/chat', '["realtime:join",{"room":"room/2"}]');
    expect(single).toMatchObject({ error: { code: 'RATE_LIMITED', retryAfterMs: 10 } });
  });

  it('is refused before a policy is asked', async () => {
    const asked = jest.spyOn(OpenPolicy.prototype, 'canJoin');
    await using app = await boot(new ManualClock(Date.now()), { joinBurst: 5 });
    await using client = await RawClient.connected(app.url, '/chat', { token: mintToken('ada') });
    const joined = (await client.ask('/chat', list(0, 100))) as Joined[];
    expect(joined.filter(isRefused)).toHaveLength(95);
    expect(asked).toHaveBeenCalledTimes(5);
    asked.mockRestore();
  });

  it('gets no more of them by new transports', async () => {
    await using app = await boot(new ManualClock(Date.now()), { joinBurst: 20 });
    let entered = 0;
    for (let nth = 0; nth < 5; nth += 1) {
      await using client = await RawClient.connected(app.url, '/chat', { token: mintToken('mallory') });
      entered += ((await client.ask('/chat', list(nth * 100, 10))) as Joined[]).filter(({ error }) => !error).length;
    }
    expect(entered).toBe(21);
  });

  it('may bring only so many new rooms to a node, and join those that it serves', async () => {
    const limits = { joinBurst: 30, userShares: 2, newRoomsPerSecond: 1 };
    await using app = await boot(new ManualClock(Date.now()), limits);
    await using other = await RawClient.connected(app.url, '/chat', { token: mintToken('ada') });
    await other.ask('/chat', list(1_000, 5));
    await using one = await RawClient.connected(app.url, '/chat', { token: mintToken('mallory') });
    await using two = await RawClient.connected(app.url, '/chat', { token: mintToken('mallory') });
    await one.ask('/chat', list(0, 30));
    // The burst is that of both transports, and each has joins of its own besides.
    const joined = (await two.ask('/chat', list(30, 30))) as Joined[];
    expect(joined.filter(isRefused)).toEqual([]);
    await using three = await RawClient.connected(app.url, '/chat', { token: mintToken('mallory') });
    const refused = (await three.ask('/chat', list(100, 1))) as Joined[];
    expect(refused.map(({ error }) => error)).toMatchObject([{ code: 'RATE_LIMITED', retryAfterMs: 1_000 }]);
    const served = (await three.ask('/chat', list(1_000, 1))) as Joined[];
    expect(served.filter(({ error }) => error)).toEqual([]);
  });
});

describe('when a client without credentials asks for connections', () => {
  it('makes the app check it a few times, and loses its transport', async () => {
    let asked = 0;
    const verify = (): null => {
      asked += 1;
      return null;
    };
    const realtime = { limits, auth: { verify } };
    await using app = await bootApp({ providers: [ChatGateway], clock: new ManualClock(Date.now()), realtime });
    await using client = await RawClient.open(app.url);
    const answers: string[] = [];
    while (answers.at(-1) !== 'closed') {
      answers.push(await connects(client, { token: 'x' }));
      expect(answers.length).toBeLessThan(200);
    }
    expect(asked).toBe(BURST / CONNECT_COST);
  });
});

describe('when one address opens more transports than its share', () => {
  const clock = new ManualClock(Date.now());
  const from = (address: string) => ({ query: '&rt=1', headers: { 'x-forwarded-for': address } });
  const auth = JSON.stringify({ token: mintToken('ada'), rt: { v: 1 } });
  let app: TestApp;

  beforeEach(async () => {
    const realtime = { trustProxy: true, limits: { transports: { hard: 30 }, transportsPerIp: 3 } };
    app = await bootApp({ providers: [ChatGateway], clock, realtime });
  });
  afterEach(() => app[Symbol.asyncDispose]());

  it('holds twice as many for a moment, to be told, and never the place of others', async () => {
    const opened = await Promise.allSettled(Array.from({ length: 40 }, () => RawClient.open(app.url, from('6.6.6.6'))));
    const clients = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const refused = opened.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : []));
    expect(clients).toHaveLength(6);
    expect(new Set(refused)).toEqual(new Set(['Unexpected server response: 429']));
    await using other = await RawClient.open(app.url, from('7.7.7.7'));
    expect(await other.connect('/chat', auth)).toMatch(/^0/);
    clock.advance(2_000);
    const [within, surplus] = [clients.slice(0, 3), clients.slice(3)];
    for (const client of surplus) expect(await client.closed()).toBe(1005);
    for (const client of within) expect(await client.connect('/chat', auth)).toMatch(/^0/);
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  });

  it('is told by CONNECT, and then its transport ends at once', async () => {
    const within = await Promise.all([1, 2, 3].map(() => RawClient.open(app.url, from('6.6.6.6'))));
    await using beyond = await RawClient.open(app.url, from('6.6.6.6'));
    expect(await beyond.connect('/chat', auth)).toMatch(/^4.*"code":"RATE_LIMITED".*"retryAfterMs"/);
    expect(await beyond.closed()).toBe(1005);
    await Promise.all(within.map((client) => client[Symbol.asyncDispose]()));
  });
});
