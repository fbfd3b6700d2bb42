import { once } from 'node:events';
import { engineOf, watchWrites, wireApp, type Connected, type WireApp } from './wire.gateway.js';

const CLOSE_FRAME = Buffer.from([0x88, 0x00]);

async function tell(app: WireApp, { socket }: Connected): Promise<Promise<unknown>> {
  const gone = once(socket, 'disconnect');
  await Promise.resolve();
  socket.emit('mine', 1);
  app.server.emit('all', 2);
  socket.emit('bytes', Buffer.from([3]));
  return gone;
}

const TOLD = ['42["mine",1]', '42["all",2]', '451-["bytes",{"_placeholder":true,"num":0}]', '03'];

describe('when a connection ends in the turn in which it gets messages', () => {
  it('gets them all before it is terminated', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    void tell(app, ada);
    await Promise.resolve();
    engineOf(ada.socket).transport.socket.terminate();
    await ada.wire.ended();
    expect(ada.wire.texts).toEqual(TOLD);
  });

  it('gets them all before the DISCONNECT and the close frame', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    void tell(app, ada);
    await Promise.resolve();
    ada.socket.disconnect(true);
    app.server.emit('too late');
    await ada.wire.got((text) => text === '');
    expect(ada.wire.texts).toEqual([...TOLD, '41', '']);
    expect(ada.wire.frames.at(-1)).toEqual(CLOSE_FRAME);
    await ada.wire.ended();
  });

  it('gets them all before the DISCONNECT of its namespace, and the transport stays', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    void tell(app, ada);
    await Promise.resolve();
    ada.socket.disconnect();
    engineOf(ada.socket).sendPacket('ping');
    await ada.wire.got((text) => text === '2');
    expect(ada.wire.texts).toEqual([...TOLD, '41', '2']);
  });

  it('gets an answer that it asked for with its last words', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    ada.wire.send('427["echo","goodbye"]');
    ada.wire.tcp.end();
    await ada.wire.ended();
    expect(ada.wire.texts).toEqual(['437["goodbye"]']);
  });

  it('gets nothing behind the close frame', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const closing = new Promise<void>((resolve) => {
      const { socket } = engineOf(ada.socket).transport as unknown as { socket: { _receiver: NodeJS.EventEmitter } };
      socket._receiver.on('conclude', () => {
        app.server.emit('behind', 'the close frame');
        ada.socket.emit('behind', 'the close frame');
        resolve();
      });
    });
    ada.wire.control(8);
    await closing;
    await ada.wire.ended();
    expect(ada.wire.frames).toEqual([CLOSE_FRAME]);
  });
});

describe('when a TCP connection is gone between a message and the end of the turn', () => {
  it.each(['destroy', 'resetAndDestroy', 'end'] as const)('hurts nobody else: %s', async (way) => {
    await using app = await wireApp();
    using ada = await app.client('ada');
    using bob = await app.client('bob');
    const gone = tell(app, ada);
    await Promise.resolve();
    ada.tcp[way]();
    app.server.emit('fence');
    await await gone;
    await bob.wire.got((text) => text === '42["fence"]');
    expect(bob.wire.texts).toEqual(['42["all",2]', '42["fence"]']);
    expect(app.server.sockets.sockets.size).toBe(1);
  });
});

describe('when the app closes in the turn in which its clients get messages', () => {
  it('sends them before the close frame', async () => {
    const app = await wireApp();
    using ada = await app.client();
    app.server.emit('last');
    const closed = app[Symbol.asyncDispose]();
    await ada.wire.got((text) => text === '42["last"]');
    await closed;
    await ada.wire.ended();
    expect(ada.wire.texts[0]).toBe('42["last"]');
  });

  it('gets nothing that is written after its TCP connection was ended', async () => {
    await using app = await wireApp();
    using ada = await app.client();
    const writes = watchWrites(ada.tcp);
    ada.socket.emit('in time');
    ada.tcp.end();
    ada.socket.emit('too late');
    app.server.emit('too late');
    await ada.wire.ended();
    expect(String(Buffer.concat(writes.flat()))).toContain('in time');
    expect(String(Buffer.concat(writes.flat()))).not.toContain('too late');
  });
});
