import { nextTurn } from '../../support/next-turn.js';
import type { RealtimeOptions } from 'nestjs-realtime';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { eventually } from '../../support/eventually.js';
import { Inbox, connectedClient } from '../../support/inbox.js';
import { mintToken } from '../../support/tokens.js';
import { engineOf, watchWrites, wireApp } from './wire.gateway.js';

const TEXT = 'as long as it takes to get shorter '.repeat(5);
const isFence = (text: string): boolean => text === '42["fence"]';

describe('when somebody observes what Engine.IO writes', () => {
  it('tells of every packet of a connection that is observed, and keeps the order', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    ada.socket.emit('before');
    const seen: unknown[] = [];
    engineOf(ada.socket).on('packetCreate', (packet) => seen.push((packet as { data: unknown }).data));
    app.server.emit('all', 1);
    ada.socket.emit('mine', 2);
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    expect(ada.wire.texts).toEqual(['42["before"]', '42["all",1]', '42["mine",2]', '42["fence"]']);
    expect(seen).toEqual(['2["all",1]', '2["mine",2]', '2["fence"]']);
  });

  it.each(['flush', 'drain'])('tells of %s, of one connection and of all', async (event) => {
    await using app = await wireApp();
    using ada = await app.client();
    const heard = { connection: 0, server: 0 };
    engineOf(ada.socket).on(event, () => (heard.connection += 1));
    app.server.engine.on(event, () => (heard.server += 1));
    app.server.emit('all', 1);
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    expect(heard.connection).toBeGreaterThan(0);
    expect(heard.server).toBe(heard.connection);
  });

  it('goes back to one write for each turn when nobody observes any more', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const listener = (): void => undefined;
    engineOf(ada.socket).on('drain', listener);
    app.server.engine.on('flush', listener);
    app.server.emit('observed');
    engineOf(ada.socket).off('drain', listener);
    app.server.engine.off('flush', listener);
    await nextTurn();
    const writes = watchWrites(ada.tcp);
    for (let count = 0; count < 5; count += 1) app.server.volatile.emit('volatile', count);
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    expect(ada.wire.frames).toHaveLength(7);
    expect(writes).toHaveLength(1);
  });

  it('calls back for what is sent with a callback, later and in order', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const calls: string[] = [];
    const engine = engineOf(ada.socket);
    ada.socket.emit('one');
    engine.send('2["two"]', {}, () => calls.push('two'));
    ada.socket.emit('three');
    engine.send('2["four"]', {}, () => calls.push('four'));
    expect(calls).toEqual([]);
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    expect(ada.wire.texts).toEqual(['42["one"]', '42["two"]', '42["three"]', '42["four"]', '42["fence"]']);
    expect(calls).toEqual(['two', 'four']);
  });
});

describe('when pings and pongs go between messages', () => {
  it('keeps the order of heartbeats, and answers pings of the WebSocket', async () => {
    await using app = await wireApp({ heartbeat: { intervalMs: 40, timeoutMs: 600_000 } });
    using ada = await app.client();
    const pings = (): number => ada.wire.texts.filter((text) => text === '2').length;
    // The first one may have come while the namespace was opened.
    ada.wire.send('3');
    await ada.wire.got((text) => text === '2');
    ada.wire.send('3');
    ada.wire.control(9, 'hello');
    await ada.wire.got((text) => text === 'hello');
    await eventually(() => expect(pings()).toBeGreaterThan(1));
    app.server.emit('fence');
    await ada.wire.got(isFence);
    expect(ada.socket.connected).toBe(true);
  });
});

describe('when frames are compressed', () => {
  it('writes as ever to who agreed on it, and coalesces for who did not', async () => {
    await using app = await wireApp({ socketio: { perMessageDeflate: { threshold: 0 } } });
    using plain = await app.client('plain');
    const compressed = new WebSocket(`${app.app.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`, {
      perMessageDeflate: true,
    });
    const inbox = new Inbox();
    compressed.on('message', (data: Buffer) => inbox.push(data.toString()));
    await inbox.next((received) => received.event.startsWith('0'));
    compressed.send(`40${JSON.stringify({ token: mintToken('deflated') })}`);
    await inbox.next((received) => received.event.startsWith('40'));
    expect(compressed.extensions).toContain('permessage-deflate');
    compressed.send('420["echo",0]');
    await inbox.next('430[0]');
    const writes = watchWrites(plain.tcp);
    for (let count = 0; count < 10; count += 1) app.server.to('room').emit('count', count);
    app.server.to('room').emit('fence');
    await plain.wire.got(isFence);
    await inbox.next('42["fence"]');
    const expected = [...Array.from({ length: 10 }, (_, count) => `42["count",${count}]`), '42["fence"]'];
    expect(plain.wire.texts).toEqual(expected);
    expect(inbox.all.map(({ event }) => event).slice(-11)).toEqual(expected);
    expect(writes.length).toBeLessThanOrEqual(11);
    compressed.terminate();
  });
});

describe('when a client starts with long-polling', () => {
  it.each<[string, Partial<RealtimeOptions>]>([
    ['plain', {}],
    ['compressed', { compression: { minBytes: 0 } }],
  ])('gets every message once and in order, before, during and after its upgrade, %s', async (_name, options) => {
    await using app = await wireApp({ transports: ['polling', 'websocket'], ...options });
    const auth = { token: mintToken('poller') };
    const socket = io(app.app.url, { transports: ['polling', 'websocket'], forceNew: true, reconnection: false, auth });
    const counts: number[] = [];
    let sent = 0;
    let left = 100;
    const sendMore = (): void => {
      if (socket.io.engine.transport.name === 'websocket') left -= 1;
      app.server.emit('count', (sent += 1), TEXT);
      app.server.sockets.sockets.forEach((one) => one.emit('count', (sent += 1), TEXT));
    };
    await new Promise<void>((resolve, reject) => {
      socket.on('connect', sendMore);
      socket.on('connect_error', reject);
      socket.on('count', (count: number) => {
        counts.push(count);
        if (count < sent) return;
        if (left > 0) sendMore();
        else resolve();
      });
    });
    expect(counts).toEqual(Array.from({ length: sent }, (_, index) => index + 1));
    expect(socket.io.engine.transport.name).toBe('websocket');
    socket.close();
  });

  it('serves it without an upgrade', async () => {
    await using app = await wireApp({ transports: ['polling', 'websocket'] });
    await using client = await connectedClient(app.app.url, {
      transports: ['polling'],
      auth: { token: mintToken('poller') },
    });
    for (let count = 0; count < 20; count += 1) app.server.emit('count', count, Buffer.from([count]));
    app.server.emit('fence');
    await client.inbox.next('fence');
    const counts = client.inbox.all.filter(({ event }) => event === 'count').map(({ args }) => args[0]);
    expect(counts).toEqual(Array.from({ length: 20 }, (_, count) => count));
  });
});

describe('when writes are not to be coalesced', () => {
  it('writes each message by itself', async () => {
    await using app = await wireApp({ coalesceWrites: false });
    using ada = await app.client();
    const writes = watchWrites(ada.tcp);
    for (let count = 0; count < 5; count += 1) ada.socket.emit('count', count);
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    expect(writes).toHaveLength(6);
  });
});
