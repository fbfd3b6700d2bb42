import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
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
