import { ChatGateway } from './app/chat.gateway.js';
import { ChatModule } from './app/chat.module.js';
import { SESSION, type SessionMiddleware } from './app/session.js';
import { ask, closeClients, collect, connect, next, open } from './clients.js';
import { hosts, start, type RunningApp } from './hosts.js';

describe.each(hosts)('when an app written the usual way runs on $name', (host) => {
  let running: RunningApp;

  beforeAll(async () => {
    running = await start(host, { imports: [ChatModule] }, (app) => void app.use(app.get<SessionMiddleware>(SESSION)));
  });

  afterEach(closeClients);

  afterAll(() => running.app.close());

  it('lets a stock client connect by polling and upgrade', async () => {
    const client = open(running.url);
    const manager = client.io;
    const transports: string[] = [];
    manager.once('open', () => transports.push(manager.engine.transport.name));
    await new Promise((resolve) => manager.engine.once('upgrade', resolve));
    transports.push(manager.engine.transport.name);

    expect(transports).toEqual(['polling', 'websocket']);
    expect(await ask(client, 'header', 'x-absent')).toBe('none');
  });

  it('delivers the event "new message" to a natively joined room through @WebSocketServer', async () => {
    const [ada, bob, eve] = [await connect(running.url), await connect(running.url), await connect(running.url)];
    const overheard = collect(eve, 'new message');
    expect(await ask(ada, 'join', 'lobby')).toEqual(expect.arrayContaining([ada.id, 'lobby']));
    await ask(bob, 'join', 'lobby');

    const received = Promise.all([next(ada, 'new message'), next(bob, 'new message')]);
    expect(await ask(ada, 'new message', { room: 'lobby', text: 'hi' })).toBe('sent');

    const message = { from: ada.id, text: 'hi' };
    expect(await received).toEqual([message, message]);
    await ask(eve, 'join', 'elsewhere');
    expect(overheard).toEqual([]);
  });

  it('excludes the sender of client.to(room) and delivers nothing after a leave', async () => {
    const [ada, bob] = [await connect(running.url), await connect(running.url)];
    const [ownTyping, late] = [collect(ada, 'typing'), collect(bob, 'new message')];
    await ask(ada, 'join', 'den');
    await ask(bob, 'join', 'den');

    const typing = next(bob, 'typing');
    expect(await ask(ada, 'typing', 'den')).toBe(true);
    expect(await typing).toBe(ada.id);
    await ask(bob, 'leave', 'den');
    await ask(ada, 'new message', { room: 'den', text: 'too late' });
    await ask(bob, 'header', 'x-absent');

    expect(ownTyping).toEqual([]);
    expect(late).toEqual([]);
  });

  it('tells the room and everyone who is gone', async () => {
    const [ada, bob] = [await connect(running.url), await connect(running.url)];
    const { id } = bob;
    await ask(ada, 'join', 'exit');
    await ask(bob, 'join', 'exit');

    const told = Promise.all([next(ada, 'left'), next(ada, 'gone')]);
    bob.disconnect();

    expect(await told).toEqual([id, id]);
  });

  it('reads headers of the handshake and the session of a signed-in user', async () => {
    const login = await fetch(`${running.url}/login/grace`, { method: 'POST' });
    const cookie = login.headers.getSetCookie().map((line) => line.split(';')[0]);
    expect(cookie).toHaveLength(1);

    const extraHeaders = { cookie: cookie.join('; '), 'x-device': 'phone' };
    const client = await connect(running.url, { extraHeaders });
    expect(await ask(client, 'header', 'x-device')).toBe('phone');
    expect(await ask(client, 'who am i')).toBe('grace');
    expect(await ask(await connect(running.url), 'who am i')).toBe('nobody');
  });

  it('emits a WsResponse and every value of an Observable', async () => {
    const client = await connect(running.url);
    const counted = collect(client, 'count');

    const responded = next(client, 'responded');
    client.emit('countdown', [3, 2, 1]);
    client.emit('response', { data: 1 });
    expect(await responded).toEqual({ data: 1 });
    expect(counted).toEqual([3, 2, 1]);
  });

  it('answers by hand with @Ack and passes binary payloads', async () => {
    const client = await connect(running.url);

    expect(await ask(client, 'manual ack', { n: 1 })).toEqual({ byHand: { n: 1 } });
    expect(await ask(client, 'binary', Buffer.from([1, 2, 3]))).toEqual(Buffer.from([3, 2, 1]));
  });

  it('sends what a BaseWsExceptionFilter subclass makes of an error', async () => {
    const client = await connect(running.url);

    const failed = next(client, 'exception');
    client.emit('fail', {});
    expect(await failed).toMatchObject({ status: 'error', message: 'translated by the filter' });
  });

  it('asks a Passport guard', async () => {
    const known = await connect(running.url, { extraHeaders: { 'x-user': 'ada' } });
    const unknown = await connect(running.url);

    expect(await ask(known, 'guarded')).toBe('ada');
    const refused = next(unknown, 'exception');
    unknown.emit('guarded', {});
    expect(await refused).toMatchObject({ status: 'error', message: 'who are you?' });
  });

  it('runs the middleware of socket.use before the handler', async () => {
    const client = await connect(running.url);
    const refused = collect(client, 'refused');

    expect(await ask(client, 'packets')).toBe(1);
    client.emit('forbidden');
    expect(await ask(client, 'packets')).toBe(3);
    expect(refused).toEqual(['the middleware says no']);
  });

  it('still serves plain HTTP, and the server that the gateway holds sees its connections', async () => {
    const client = await connect(running.url);

    expect(await (await fetch(`${running.url}/hello`)).json()).toEqual({ hello: 'http' });
    const sockets = await running.app.get(ChatGateway).server.fetchSockets();
    expect(sockets.map(({ id }) => id)).toContain(client.id);
  });
});
