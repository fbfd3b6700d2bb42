import { once } from 'node:events';
import net from 'node:net';
import { Injectable } from '@nestjs/common';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RealtimeService, RoomManager, RoomPolicy, type RealtimeOptions } from 'nestjs-realtime';
import { ManualClock } from 'nestjs-realtime/testing';
import { bootApp, type TestApp, type TestAppOptions } from '../../support/app.js';
import { eventually } from '../../support/eventually.js';
import { connectedClient, type ClientOptions, type StockClient } from '../../support/inbox.js';
import { SERVED, upgrade } from '../../support/raw-upgrade.js';
import { mintToken } from '../../support/tokens.js';
import { LogCapture } from './hostile-app.js';

@Injectable()
@RoomPolicy('chat/:id', { presence: true })
class ChatPolicy {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

const POLLING = '/socket.io/?EIO=4&transport=polling';
const BOTH = ['polling', 'websocket'] as const;
const EVIL = 'Origin: https://evil.example';

const boot = (realtime: Partial<RealtimeOptions> = {}, more: Pick<TestAppOptions, 'clock'> = {}): Promise<TestApp> =>
  bootApp({ providers: [ChatGateway, ChatPolicy], realtime: { transports: BOTH, ...realtime }, ...more });

const connect = (app: TestApp, user: string, options: ClientOptions = {}): Promise<StockClient> =>
  connectedClient(`${app.url}/chat`, { auth: { token: mintToken(user) }, ...options });

const sidOf = ({ socket }: StockClient): string => (socket.io.engine as unknown as { id: string }).id;
const upgradeOf = (app: TestApp, sid: string, headers: readonly string[] = []) =>
  upgrade(app.url, { path: `${SERVED}&sid=${sid}`, headers });

/** A session that polls, opened by hand. */
async function polling(app: TestApp, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${app.url}${POLLING}`, { headers });
  expect(response.status).toBe(200);
  return (JSON.parse((await response.text()).slice(1)) as { sid: string }).sid;
}

/** Sends a packet of a session, and says what the answer's status is. */
async function post(app: TestApp, sid: string, headers: Record<string, string> = {}): Promise<number> {
  const options = { method: 'POST', body: '3', headers: { 'content-type': 'text/plain', ...headers } };
  return (await fetch(`${app.url}${POLLING}&sid=${sid}`, options)).status;
}

interface Presence {
  readonly users: readonly { readonly id: string; readonly devices: readonly { readonly device: string }[] }[];
}

describe('what others see of a connection', () => {
  it('is a label of its own for each transport, and never the id that continues the session', async () => {
    await using app = await boot();
    await using victim = await connect(app, 'victim', { transports: ['websocket'] });
    await using tab = await connect(app, 'victim', { transports: ['websocket'] });
    await using mallory = await connect(app, 'mallory');
    const replies: unknown[] = [];
    for (const client of [victim, tab, mallory]) replies.push(await client.ask('realtime:join', { room: 'chat/42' }));
    const labels = await eventually(async () => {
      const { users } = (await mallory.ask('realtime:presence', { room: 'chat/42' })) as Presence;
      expect(users.map(({ id }) => id).toSorted()).toEqual(['mallory', 'victim']);
      const devices = users.find(({ id }) => id === 'victim')?.devices.map(({ device }) => device);
      expect(devices).toHaveLength(2);
      return devices;
    });
    expect(new Set(labels).size).toBe(2);
    // By the answer to the join, or by a change after it: what presence had told the node by then.
    await eventually(() => expect(JSON.stringify([replies[2], mallory.inbox.all])).toContain('victim'));
    const seen = JSON.stringify([labels, replies, mallory.inbox.all, victim.inbox.all, tab.inbox.all]);
    for (const client of [victim, tab, mallory]) expect(seen).not.toContain(sidOf(client));
    expect(JSON.stringify(await app.app.get(RoomManager).members('chat/42'))).not.toContain(sidOf(victim));
  });
});

describe('when a WebSocket comes with the id of a session', () => {
  it.each([[['websocket'] as const], [BOTH]])(
    'refuses it for a session that was one from the start (%j)',
    async (transports) => {
      await using app = await boot({ transports });
      await using victim = await connect(app, 'victim', { transports: ['websocket'] });
      for (const headers of [[], [EVIL]]) {
        const thief = await upgradeOf(app, sidOf(victim), headers);
        expect(await thief.status()).toBe(403);
        await thief.closed;
      }
      expect(await victim.ask('ping')).toBe('pong');
      expect(victim.inbox.all.map(({ event }) => event)).not.toContain('disconnect');
    },
  );

  it('lets a session that polls upgrade once, as stock clients do', async () => {
    await using app = await boot();
    await using ada = await connect(app, 'ada', { transports: [...BOTH] });
    await eventually(() => expect(ada.socket.io.engine.transport.name).toBe('websocket'));
    expect(await (await upgradeOf(app, sidOf(ada))).status()).toBe(403);
    expect(await ada.ask('ping')).toBe('pong');
  });

  it('refuses a foreign origin, and the owner upgrades afterwards', async () => {
    await using app = await boot();
    const sid = await polling(app);
    expect(await (await upgradeOf(app, sid, [EVIL])).status()).toBe(403);
    const own = await upgradeOf(app, sid);
    expect(await own.status()).toBe(101);
    own.socket.resetAndDestroy();
  });

  it('lets one of many at a time', async () => {
    await using app = await boot();
    const sid = await polling(app);
    const all = await Promise.all(Array.from({ length: 20 }, () => upgradeOf(app, sid)));
    const statuses = await Promise.all(all.map(({ status }) => status()));
    expect(statuses.toSorted()).toEqual([101, ...Array.from({ length: 19 }, () => 403)]);
    for (const { socket } of all) socket.resetAndDestroy();
  });

  it('refuses it when the session is older than a client takes to connect', async () => {
    const clock = new ManualClock(Date.now());
    await using app = await boot({ connectTimeoutMs: 5_000 }, { clock });
    const sid = await polling(app);
    clock.advance(5_001);
    expect(await (await upgradeOf(app, sid)).status()).toBe(403);
  });

  it('says 503 while the node drains', async () => {
    await using app = await boot();
    const sid = await polling(app);
    void app.app.get(RealtimeService).drain();
    expect(await (await upgradeOf(app, sid)).status()).toBe(503);
  });

  it('gives it no place in the limits, and takes none away', async () => {
    await using app = await boot({ limits: { transports: { hard: 3 } } });
    const sids = [await polling(app), await polling(app), await polling(app)];
    const upgraded = await Promise.all(sids.map((sid) => upgradeOf(app, sid)));
    expect(await Promise.all(upgraded.map(({ status }) => status()))).toEqual([101, 101, 101]);
    expect((await fetch(`${app.url}${POLLING}`)).status).toBe(503);
    for (const { socket } of upgraded) socket.resetAndDestroy();
  });
});

describe('when a poll comes with the id of a session', () => {
  it('refuses a foreign origin', async () => {
    await using app = await boot();
    const sid = await polling(app);
    expect(await post(app, sid, { origin: 'https://evil.example' })).toBe(403);
    expect(await post(app, sid)).toBe(200);
  });

  it('wants the cookie that the session was opened with, if it can carry the token', async () => {
    await using app = await boot({ auth: { jwt: { secret: 'x'.repeat(32) }, cookie: 'access' } });
    const sid = await polling(app, { cookie: 'access=mine; theme=dark' });
    expect(await post(app, sid)).toBe(403);
    expect(await post(app, sid, { cookie: 'access=yours' })).toBe(403);
    expect(await post(app, sid, { cookie: 'theme=light; access=mine' })).toBe(200);
    expect(await (await upgradeOf(app, sid)).status()).toBe(403);
    const own = await upgradeOf(app, sid, ['Cookie: access=mine']);
    expect(await own.status()).toBe(101);
    own.socket.resetAndDestroy();
    const without = await polling(app, { cookie: 'theme=dark' });
    expect(await post(app, without)).toBe(200);
  });

  it('counts a session whose first request has an Upgrade header as any other', async () => {
    await using app = await boot({ limits: { transports: { hard: 2 } } });
    const { port, host } = new URL(app.url);
    const open = async (): Promise<string> => {
      const socket = net.connect(Number(port), '127.0.0.1');
      socket.write(`GET ${POLLING} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: x\r\nConnection: close\r\n\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return answer.toString('latin1').split('\r\n')[0] ?? '';
    };
    expect([await open(), await open(), await open()].map((line) => line.split(' ')[1])).toEqual(['200', '200', '503']);
  });

  it('leaves a trace in the log of what it refuses', async () => {
    const log = new LogCapture();
    await using app = await boot({ auth: { jwt: { secret: 'x'.repeat(32) }, cookie: 'access' } });
    app.app.useLogger(log);
    const sid = await polling(app, { cookie: 'access=mine' });
    expect(await post(app, sid)).toBe(403);
    expect(log.drain().join('\n')).toContain('as a session: The session was opened with another cookie');
    void app.app.get(RealtimeService).drain();
    expect(await (await upgradeOf(app, sid, ['Cookie: access=mine'])).status()).toBe(503);
    expect(log.drain().join('\n')).toContain('as a session: Draining');
  });
});
