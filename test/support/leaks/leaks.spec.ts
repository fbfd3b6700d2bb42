import { MessageBody, ConnectedSocket, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Socket } from 'socket.io';
import { bootApp, type TestApp } from '../app.js';
import { eventually } from '../eventually.js';
import { connectedClient, type ClientOptions, type StockClient } from '../inbox.js';
import { sharedRedis } from '../redis.js';
import { mintToken } from '../tokens.js';
import { canary, leaks } from './leak-watch.js';

let kept: Record<string, string> = {};

/** An app that tells what it must not. */
@WebSocketGateway()
class TalkativeGateway {
  @SubscribeMessage('keep')
  keep(@MessageBody() kept_: Record<string, string>, @ConnectedSocket() { conn, handshake }: Socket): string {
    const { id } = conn as unknown as { id: string };
    kept = { id, token: String(handshake.auth['token']), cookie: String(handshake.headers.cookie), ...kept_ };
    return 'kept';
  }

  @SubscribeMessage('tell')
  tell(@MessageBody() { what }: { what: string }): unknown {
    return { told: kept[what], padding: 'x'.repeat(2_000) };
  }
}

const boot = (transports: readonly ('polling' | 'websocket')[] = ['polling', 'websocket']): Promise<TestApp> =>
  bootApp({ providers: [TalkativeGateway], realtime: { transports, compression: {} } });

async function connect({ url }: TestApp, user: string, options: ClientOptions = {}): Promise<StockClient> {
  const client = await connectedClient(url, {
    auth: { token: mintToken(user) },
    extraHeaders: { cookie: `theme=dark; session=${user}-of-the-cookie-jar` },
    ...options,
  });
  const { io } = client.socket;
  if (String(options.transports).endsWith('websocket'))
    await eventually(() => expect(io.engine.transport.name).toBe('websocket'));
  return client;
}

/** A client that polls says goodbye in a request of its own, for which the server must still be there. */
async function leave({ socket }: StockClient): Promise<void> {
  const { engine } = socket.io;
  socket.close();
  await eventually(() => expect((engine as unknown as { readyState: string }).readyState).toBe('closed'));
}

describe('the watch for leaks', () => {
  afterEach(() => (kept = {}));

  it.each([
    ['id', "the transport's id of ada"],
    ['token', 'the token of ada'],
    ['cookie', 'the token of somebody'],
    ['note', 'a note of ada'],
  ])('says that the %s of a user reached another, over each transport', async (what, name) => {
    await using app = await boot();
    for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
      await using ada = await connect(app, 'ada');
      await using mallory = await connect(app, 'mallory', { transports, perMessageDeflate: {} } as ClientOptions);
      await ada.ask('keep', { note: canary('a note of ada', ['ada']) });
      leaks.check();
      expect(await mallory.ask('tell', { what })).toMatchObject({ told: expect.any(String) as unknown });
      expect(() => leaks.check()).toThrow(`- ${name} reached mallory: `);
      await leave(mallory);
    }
  });

  it('says so of an event whose frame is deflated', async () => {
    await using app = await boot(['websocket']);
    await using ada = await connect(app, 'ada');
    await using mallory = await connect(app, 'mallory', { perMessageDeflate: {} } as ClientOptions);
    await ada.ask('keep', {});
    mallory.socket.emit('tell', { what: 'id' }, () => undefined);
    await mallory.ask('tell', { what: 'token' });
    expect(() => leaks.check()).toThrow(/transport's id of ada reached mallory[^]*token of ada reached mallory/);
  });

  it('says so of what is written to Redis', async () => {
    await using redis = await sharedRedis();
    await using app = await boot();
    await using ada = await connect(app, 'ada');
    await ada.ask('keep', {});
    const client = await redis.client();
    await client.set(`${redis.prefix}kept`, JSON.stringify({ ...kept, token: '' }), { EX: 60 });
    expect(() => leaks.check()).toThrow("- the transport's id of ada reached Redis: ");
  });

  it('is silent about what a client may have', async () => {
    await using app = await boot();
    await using ada = await connect(app, 'ada');
    await using again = await connect(app, 'ada', { transports: ['polling'] });
    await ada.ask('keep', { note: canary('a note of ada', ['ada']) });
    expect(await again.ask('tell', { what: 'note' })).toMatchObject({ told: expect.any(String) as unknown });
    expect(() => leaks.check()).not.toThrow();
    await leave(again);
  });
});
