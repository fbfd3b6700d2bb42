import { nextTurn } from '../../support/next-turn.js';
import { RoomManager } from 'nestjs-realtime';
import { engineOf, watchWrites, wireApp } from './wire.gateway.js';

const isFence = (text: string): boolean => text === '42["fence"]';

describe('when a connection gets several messages in one turn of the event loop', () => {
  it('gets them in the order of the calls, in one write', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const writes = watchWrites(ada.tcp);
    ada.socket.emit('unicast', 1);
    app.server.to('room').emit('broadcast', 2);
    await Promise.resolve();
    ada.socket.emit('binary', Buffer.from([3]));
    app.server.to('room').emit('binary', Buffer.from([4]));
    app.server.emit('to all', 5);
    ada.socket.volatile.emit('volatile', 6);
    app.server.volatile.emit('volatile', 7);
    engineOf(ada.socket).sendPacket('ping');
    app.server.emit('to all', 8);
    process.nextTick(() => ada.socket.emit('fence'));
    await ada.wire.got(isFence);
    expect(ada.wire.texts).toEqual([
      ...['42["unicast",1]', '42["broadcast",2]', '451-["binary",{"_placeholder":true,"num":0}]', '03'],
      ...['451-["binary",{"_placeholder":true,"num":0}]', '04', '42["to all",5]', '42["volatile",6]'],
      ...['42["volatile",7]', '2', '42["to all",8]', '42["fence"]'],
    ]);
    expect(writes).toHaveLength(1);
  });

  it('gets the answers to all messages that came together in one write', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const writes = watchWrites(ada.tcp);
    ada.wire.send(...Array.from({ length: 20 }, (_, id) => `42${id}["echo",${id}]`), '4299["echo","last"]');
    await ada.wire.got((text) => text === '4399["last"]');
    expect(ada.wire.texts).toEqual([...Array.from({ length: 20 }, (_, id) => `43${id}[${id}]`), '4399["last"]']);
    expect(writes).toHaveLength(1);
  });

  it('gets a single one at the end of the turn, without any wait', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const writes = watchWrites(ada.tcp);
    for (let count = 1; count <= 3; count += 1) {
      ada.socket.emit('single', count);
      await nextTurn();
      expect(writes).toHaveLength(count);
    }
  });

  it('shares the bytes with others who got the same', async () => {
    await using app = await wireApp();
    using ada = await app.client('ada');
    using bob = await app.client('bob');
    using eve = await app.client('eve');
    const [toAda, toBob, toEve] = [ada, bob, eve].map(({ tcp }) => watchWrites(tcp));
    app.server.to('room').emit('text', 1);
    app.server.to('room').emit('binary', Buffer.from([2]));
    eve.socket.emit('alone');
    app.server.to('room').emit('fence');
    await eve.wire.got(isFence);
    expect(toAda).toHaveLength(1);
    expect(toBob?.[0]?.[0]).toBe(toAda?.[0]?.[0]);
    expect(toEve?.[0]?.[0]).not.toBe(toAda?.[0]?.[0]);
    expect(eve.wire.texts.filter((text) => !text.includes('alone'))).toEqual(bob.wire.texts);
  });

  it('gets what a room publishes in the same write', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const rooms = app.app.app.get(RoomManager);
    const writes = watchWrites(ada.tcp);
    for (let count = 0; count < 5; count += 1) rooms.emit('user/ada', 'note', count);
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    expect(writes).toHaveLength(1);
    expect(ada.wire.frames).toHaveLength(6);
  });
});

describe('when data is changed after it was sent', () => {
  it('reaches the client as it was', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const data = Buffer.from([1]);
    ada.socket.emit('mine', data);
    app.server.emit('all', data);
    data[0] = 9;
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    expect(ada.wire.texts.filter((text) => text === '01')).toHaveLength(2);
  });
});

describe('when messages are large', () => {
  it('keeps their order among small ones', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const [block, bytes] = ['x'.repeat(200_000), Buffer.alloc(100_000, 7)];
    ada.socket.emit('small', 1);
    app.server.emit('large', block);
    ada.socket.emit('small', 2);
    ada.socket.emit('bytes', bytes);
    app.server.emit('bytes', bytes);
    ada.socket.emit('large', block);
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    const large = `42["large","${block}"]`;
    const head = '451-["bytes",{"_placeholder":true,"num":0}]';
    const hex = bytes.toString('hex');
    expect(ada.wire.texts).toEqual([
      ...['42["small",1]', large, '42["small",2]', head, hex, head, hex, large, '42["fence"]'],
    ]);
  });

  it('holds no more than a write of what is sent without end in one turn', async () => {
    await using app = await wireApp({ limits: { maxSendBufferBytes: 0, maxSendBufferMessages: 0 } });
    using ada = await app.client();
    const writes = watchWrites(ada.tcp);
    const text = 'x'.repeat(1_000);
    for (let count = 0; count < 1_000; count += 1) app.server.emit('many', count, text);
    ada.socket.emit('fence');
    await ada.wire.got(isFence);
    expect(ada.wire.texts.slice(0, -1)).toEqual(
      Array.from({ length: 1_000 }, (_, count) => `42["many",${count},"${text}"]`),
    );
    const sizes = writes.map((chunks) => chunks[0]?.length ?? 0);
    expect(sizes[0]).toBeGreaterThan(65_000);
    expect(sizes[0]).toBeLessThan(67_000);
  });
});
