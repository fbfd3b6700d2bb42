import { ServiceUnavailableException } from '@nestjs/common';
import { WebSocketGateway } from '@nestjs/websockets';
import type { RealtimeOptions } from 'nestjs-realtime';
import { ManualClock } from 'nestjs-realtime/testing';
import { bootApp, type TestApp } from '../../support/app.js';
import { eventually } from '../../support/eventually.js';
import { RawClient } from '../../support/raw-client.js';

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway {}

const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
const authOf = (token: string): string => JSON.stringify({ token, rt: { v: 1 } });

/** CONNECT, or the end of the transport. */
async function answerTo(client: RawClient, auth: string): Promise<string> {
  client.send(`0/chat,${auth}`);
  const isAnswer = (text: unknown): boolean => /^[04]\/chat,/.test(String(text));
  const { event, args } = await client.inbox.next(
    ({ event, args: [text] }) => event === 'close' || (event === 'packet' && isAnswer(text)),
  );
  return event === 'close' ? 'closed' : String(args[0]);
}

describe('when many CONNECTs of one address fail', () => {
  const BURST = 20;
  let clock: ManualClock;
  let app: TestApp;
  let asked: string[];

  beforeEach(async () => {
    clock = new ManualClock(Date.now());
    asked = [];
    const verify: RealtimeOptions['auth']['verify'] = ({ auth }) => {
      const { token } = auth as { token: string };
      asked.push(token);
      return token === 'good' ? { id: 'ada' } : null;
    };
    app = await bootApp({
      providers: [ChatGateway],
      clock,
      realtime: {
        trustProxy: true,
        auth: { verify },
        limits: { failedConnectsPerIp: { perSecond: 10, burst: BURST } },
      },
    });
  });
  afterEach(() => app[Symbol.asyncDispose]());

  /** On a transport of its own. */
  async function connect(address: string, token: string): Promise<string> {
    await using client = await RawClient.open(app.url, from(address));
    return await answerTo(client, authOf(token));
  }

  async function flood(address: string): Promise<void> {
    for (let nth = 0; nth < BURST; nth += 1) expect(await connect(address, 'bad')).toContain('UNAUTHORIZED');
  }

  it('refuses more before the check of the app is asked, and says when to come again', async () => {
    await flood('6.6.6.6');
    const refused = await connect('6.6.6.6', 'bad');
    expect(refused).toMatch(/^4.*"code":"RATE_LIMITED".*"retryAfterMs":\d{4}/);
    expect(asked).toHaveLength(BURST);
    // A stock client comes again by itself only when its transport has closed.
    await using stock = await RawClient.open(app.url, from('6.6.6.6'));
    expect(await answerTo(stock, JSON.stringify({ token: 'bad' }))).toBe('closed');
    expect(asked).toHaveLength(BURST);
  });

  it('checks those of other addresses, of whatever result', async () => {
    await flood('6.6.6.6');
    expect(await connect('7.7.7.7', 'good')).toMatch(/^0/);
    expect(await connect('7.7.7.7', 'bad')).toContain('UNAUTHORIZED');
  });

  it('takes an IPv6 network for one address, and each IPv4 address for itself, however it is written', async () => {
    for (let nth = 0; nth < BURST; nth += 1) expect(await connect(`2001:db8::${nth}`, 'bad')).toContain('UNAUTHORIZED');
    expect(await connect('2001:db8::ffff', 'good')).toContain('RATE_LIMITED');
    await flood('::ffff:6.6.6.6');
    expect(await connect('6.6.6.6', 'good')).toContain('RATE_LIMITED');
    expect(await connect('::ffff:7.7.7.7', 'good')).toMatch(/^0/);
  });

  it('lets those with good credentials in as soon as one may fail again, and counts none of them', async () => {
    await flood('6.6.6.6');
    expect(await connect('6.6.6.6', 'good')).toContain('RATE_LIMITED');
    clock.advance(100);
    for (let nth = 0; nth < 2 * BURST; nth += 1) expect(await connect('6.6.6.6', 'good')).toMatch(/^0/);
    expect(await connect('6.6.6.6', 'bad')).toContain('UNAUTHORIZED');
    expect(await connect('6.6.6.6', 'good')).toContain('RATE_LIMITED');
  });

  it('keeps the last half of them for transports that have not failed yet', async () => {
    await using old = await RawClient.open(app.url, from('6.6.6.6'));
    expect(await answerTo(old, authOf('bad'))).toContain('UNAUTHORIZED');
    for (let nth = 1; nth < BURST / 2 + 1; nth += 1) await connect('6.6.6.6', 'bad');
    const before = asked.length;
    // It has to come on another one.
    expect(await answerTo(old, authOf('good'))).toBe('closed');
    expect(asked).toHaveLength(before);
    expect(await connect('6.6.6.6', 'good')).toMatch(/^0/);
  });

  it('does not count what fails for the sake of the app', async () => {
    await using app2 = await bootApp({
      providers: [ChatGateway],
      clock,
      realtime: {
        trustProxy: true,
        limits: { failedConnectsPerIp: { perSecond: 10, burst: 2 } },
        auth: {
          verify: () => {
            asked.push('x');
            throw new ServiceUnavailableException('the database is away');
          },
        },
      },
    });
    for (let nth = 0; nth < 10; nth += 1) {
      await using client = await RawClient.open(app2.url, from('6.6.6.6'));
      expect(await answerTo(client, authOf('any'))).not.toContain('RATE_LIMITED');
    }
    expect(asked).toHaveLength(10);
  });
});

describe('when one address asks for more handshakes than are checked at a time', () => {
  it('keeps none of another address waiting behind them', async () => {
    const AT_A_TIME = 256;
    const asked: string[] = [];
    const pending: (() => void)[] = [];
    const verify: RealtimeOptions['auth']['verify'] = async ({ auth }) => {
      const { token } = auth as { token: string };
      asked.push(token);
      await new Promise<void>((resolve) => pending.push(resolve));
      return { id: token };
    };
    await using app = await bootApp({
      providers: [ChatGateway],
      clock: new ManualClock(Date.now()),
      realtime: { trustProxy: true, auth: { verify } },
    });
    const flood = await Promise.all(
      Array.from({ length: AT_A_TIME + 30 }, () => RawClient.open(app.url, from('6.6.6.6'))),
    );
    for (const client of flood) client.send(`0/chat,${authOf('mallory')}`);
    await eventually(() => expect(asked).toHaveLength(AT_A_TIME));
    await using other = await RawClient.open(app.url, from('7.7.7.7'));
    const answer = answerTo(other, authOf('ada'));
    // One of each address begins for two that end, whatever has come before.
    await eventually(() => {
      pending.shift()?.();
      pending.shift()?.();
      expect(asked).toContain('ada');
      expect(asked.indexOf('ada')).toBeLessThan(AT_A_TIME + 28);
    });
    for (let nth = 0; nth < flood.length + 1; nth += 1) {
      await eventually(() => expect(pending.length > 0 || asked.length === flood.length + 1).toBe(true));
      pending.shift()?.();
    }
    expect(await answer).toMatch(/^0/);
    await Promise.all(flood.map((client) => client[Symbol.asyncDispose]()));
  });
});

describe('when transports of one address say nothing', () => {
  const boot = (transports: RealtimeOptions['transports']): Promise<TestApp> =>
    bootApp({
      providers: [ChatGateway],
      clock: new ManualClock(Date.now()),
      realtime: {
        trustProxy: true,
        transports,
        auth: { verify: () => ({ id: 'ada' }) },
        limits: { silentTransportsPerIp: 3 },
      },
    });
  const TOO_MANY = 'Unexpected server response: 429';

  it('refuses more of them, and none of another address', async () => {
    await using app = await boot(['websocket']);
    const open = (address: string): Promise<RawClient> => RawClient.open(app.url, from(address));
    const [one, two, three] = [await open('6.6.6.6'), await open('6.6.6.6'), await open('6.6.6.6')];
    await expect(open('6.6.6.6')).rejects.toThrow(TOO_MANY);
    const other = await open('7.7.7.7');
    // One that speaks is silent no more, however long it lives; one that ends neither.
    expect(await one.connect('/chat', authOf('x'))).toMatch(/^0/);
    const four = await open('6.6.6.6');
    await expect(open('6.6.6.6')).rejects.toThrow(TOO_MANY);
    await two[Symbol.asyncDispose]();
    const five = await eventually(() => open('6.6.6.6'));
    await Promise.all([one, three, four, five, other].map((client) => client[Symbol.asyncDispose]()));
  });

  it('counts sessions that poll until they ask for a namespace', async () => {
    await using app = await boot(['polling', 'websocket']);
    const path = `${app.url}/socket.io/?EIO=4&transport=polling`;
    const open = (): Promise<Response> => fetch(path, from('6.6.6.6'));
    const sessions = [await open(), await open(), await open()];
    const { sid } = JSON.parse((await (sessions[0] as Response).text()).slice(1)) as { sid: string };
    expect(sessions.map(({ status }) => status)).toEqual([200, 200, 200]);
    const refused = await open();
    expect([refused.status, await refused.json()]).toEqual([429, expect.objectContaining({ code: 'RATE_LIMITED' })]);
    await fetch(`${path}&sid=${sid}`, { ...from('6.6.6.6'), method: 'POST', body: `40/chat,${authOf('x')}` });
    expect((await open()).status).toBe(200);
    expect((await open()).status).toBe(429);
  });
});
