import { RoomManager } from 'nestjs-realtime';
import { engineOf, watchWrites, wireApp, type Connected } from '../coalesced-writes/wire.gateway.js';
import { connectedClient } from '../../support/inbox.js';
import { mintToken } from '../../support/tokens.js';
import { isDeflated } from '../../support/wire-frame.js';

const OFFER = { extensions: 'permessage-deflate; client_max_window_bits' };
const LONG = 'The quick brown fox jumps over the lazy dog. '.repeat(40);
const BYTES = Buffer.from(LONG);
const HEAD = '451-["binary",{"_placeholder":true,"num":0}]';

const isFence = (text: string): boolean => text === '42["fence"]';

/** What a client got, inflated, with long parts cut short. */
function told({ wire }: Connected): string[] {
  return wire.texts.map((text) => text.replace(LONG, 'LONG').replace(BYTES.toString('hex'), 'BYTES'));
}

/** Where a client's frames are deflated. */
function deflated({ wire }: Connected): boolean[] {
  return wire.frames.map(isDeflated);
}

describe('when clients with and without compression are in one room', () => {
  it('reaches all with the same messages, in order among acks, unicasts, pings and binary data', async () => {
    await using app = await wireApp({ compression: {} });
    using ada = await app.client('ada', OFFER);
    using bob = await app.client('bob', OFFER);
    using eve = await app.client('eve');
    await using stock = await connectedClient(app.app.url, { auth: { token: mintToken('stock') } });
    expect(await stock.ask('echo', 0)).toBe(0);
    ada.wire.send('427["ask",{"id":"7"}]', '428["echo",1]');
    await ada.wire.got((text) => text === '438[1]');
    ada.wire.frames.splice(0);

    // Answers come some microtasks later.
    app.gateway.asked[0]?.ack({ text: LONG });
    app.server.to('room').emit('long', 1, LONG);
    app.server.to('room').emit('short', 2);
    engineOf(ada.socket).sendPacket('ping');
    ada.socket.emit('alone', 3, LONG);
    app.server.to('room').emit('binary', BYTES);
    ada.socket.emit('binary', BYTES);
    app.server.to('room').emit('long', 4, LONG);
    await ada.wire.got((text) => text.startsWith('437'));
    app.server.to('room').emit('fence');
    for (const { wire } of [ada, bob, eve]) await wire.got(isFence);
    await stock.inbox.next('fence');

    const toAll = ['42["long",1,"LONG"]', '42["short",2]', HEAD, 'BYTES', '42["long",4,"LONG"]', '42["fence"]'];
    expect(told(eve)).toEqual(toAll);
    expect(told(bob)).toEqual(toAll);
    expect(told(ada)).toEqual([
      ...['42["long",1,"LONG"]', '42["short",2]', '2', '42["alone",3,"LONG"]', HEAD, 'BYTES', HEAD, 'BYTES'],
      ...['42["long",4,"LONG"]', '437[{"text":"LONG"}]', '42["fence"]'],
    ]);
    expect(stock.inbox.all.slice(-5)).toEqual([
      ...[
        { event: 'long', args: [1, LONG] },
        { event: 'short', args: [2] },
        { event: 'binary', args: [BYTES] },
      ],
      ...[
        { event: 'long', args: [4, LONG] },
        { event: 'fence', args: [] },
      ],
    ]);
    expect(deflated(eve)).toEqual([false, false, false, false, false, false]);
    expect(deflated(bob)).toEqual([true, false, false, true, true, false]);
    expect(deflated(ada)).toEqual([true, false, false, true, false, true, false, true, true, true, false]);
  });

  it('deflates once for all, and writes one buffer to all who got the same', async () => {
    await using app = await wireApp({ compression: {} });
    const clients: Connected[] = [];
    for (const name of ['ada', 'bob', 'eve']) clients.push(await app.client(name, OFFER));
    using plain = await app.client('plain');
    const writes = [...clients, plain].map(({ tcp }) => watchWrites(tcp));
    app.server.to('room').emit('long', LONG);
    app.server.to('room').emit('binary', BYTES);
    app.app.app.get(RoomManager).emit('user/ada', 'note', LONG);
    app.server.to('room').emit('fence');
    for (const { wire } of [...clients, plain]) await wire.got(isFence);
    const [toAda, toBob, toEve, toPlain] = writes.map((calls) => calls.flat());
    expect([toAda, toBob, toEve, toPlain].map((buffers) => buffers?.length)).toEqual([1, 1, 1, 1]);
    expect(toEve?.[0]).toBe(toBob?.[0]);
    expect(toBob?.[0]?.length).toBeLessThan(300);
    expect(toPlain?.[0]?.length).toBeGreaterThan(2 * LONG.length);
    expect(clients[0] && deflated(clients[0])).toEqual([true, false, true, true, false]);
    for (const client of clients) client[Symbol.dispose]();
  });

  it('shares one frame with clients for which it goes the long way', async () => {
    await using app = await wireApp({ compression: {} });
    using ada = await app.client('ada', OFFER);
    using bob = await app.client('bob', OFFER);
    for (const { socket } of [ada, bob]) engineOf(socket).on('packetCreate', () => undefined);
    app.server.to('room').emit('long', 1, LONG);
    ada.socket.emit('alone', 2, LONG);
    app.server.to('room').emit('binary', 3, BYTES);
    engineOf(ada.socket).send('2["called back"]', {}, () => undefined);
    app.server.to('room').emit('fence');
    for (const { wire } of [ada, bob]) await wire.got(isFence);
    const head = '451-["binary",3,{"_placeholder":true,"num":0}]';
    expect(told(bob)).toEqual(['42["long",1,"LONG"]', head, 'BYTES', '42["fence"]']);
    expect(told(ada)).toEqual([
      ...['42["long",1,"LONG"]', '42["alone",2,"LONG"]', head, 'BYTES', '42["called back"]', '42["fence"]'],
    ]);
    expect(deflated(ada)).toEqual([true, true, false, true, false, false]);
    expect(ada.wire.frames[0]).toEqual(bob.wire.frames[0]);
  });
});

describe('when a message is not to be compressed', () => {
  it.each([false, true])('stays as it is for all; the long way: %s', async (isObserved) => {
    await using app = await wireApp({ compression: { minBytes: 0 } });
    using ada = await app.client('ada', OFFER);
    if (isObserved) engineOf(ada.socket).on('packetCreate', () => undefined);
    app.server.compress(false).emit('long', LONG);
    ada.socket.compress(false).emit('long', LONG);
    app.server.compress(false).emit('binary', BYTES);
    ada.socket.compress(false).emit('binary', BYTES);
    app.server.emit('long', LONG);
    app.server.emit('fence');
    await ada.wire.got(isFence);
    const long = '42["long","LONG"]';
    expect(told(ada)).toEqual([long, long, HEAD, 'BYTES', HEAD, 'BYTES', long, '42["fence"]']);
    expect(deflated(ada)).toEqual([false, false, false, false, false, false, true, false]);
  });

  it('is not compressed beyond maxBytes either, nor if it does not get shorter', async () => {
    await using app = await wireApp({ compression: { minBytes: 0, maxBytes: 2_000 } });
    using ada = await app.client('ada', OFFER);
    app.server.emit('long', LONG);
    app.server.emit('longer', LONG, LONG);
    ada.socket.emit('longer', LONG, LONG);
    app.server.emit('fence');
    await ada.wire.got(isFence);
    expect(deflated(ada)).toEqual([true, false, false, false]);
  });
});
