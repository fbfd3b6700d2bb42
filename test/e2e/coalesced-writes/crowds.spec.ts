import { GENEROUS_MS } from '../../support/eventually.js';
import { nextTurn } from '../../support/next-turn.js';
import { jest } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { engineOf, wireApp, type Connected, type WireApp } from './wire.gateway.js';

const CLIENTS = 20;
const isFence = (text: string): boolean => text === '42["fence"]';

interface Crowd extends AsyncDisposable {
  readonly app: WireApp;
  readonly clients: Connected[];
  readonly first: Connected;
  /** A fence for all, then what each of them got before it. */
  heard(): Promise<string[][]>;
}

/** Enough for a list of recipients, which has been made. */
async function crowd(...options: Parameters<typeof wireApp>): Promise<Crowd> {
  const app = await wireApp(...options);
  const clients: Connected[] = [];
  for (let index = 0; index < CLIENTS; index += 1) clients.push(await app.client(`user-${index}`));
  const heard = async (): Promise<string[][]> => {
    for (const { socket } of clients) socket.emit('fence');
    const texts = clients.map(async ({ wire }) => {
      await wire.got(isFence);
      return wire.texts.slice(0, wire.texts.findIndex(isFence));
    });
    const all = await Promise.all(texts);
    for (const { wire } of clients) wire.frames.splice(0);
    return all;
  };
  for (let count = 0; count < 3; count += 1) app.server.to('room').emit('warm', count);
  for (let count = 0; count < 3; count += 1) app.server.emit('warm', count);
  await heard();
  return {
    ...{ app, clients, heard, first: clients[0]! },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]();
      await app[Symbol.asyncDispose]();
    },
  };
}

const all = (...texts: string[]): string[][] => Array.from({ length: CLIENTS }, () => texts);
const others = (got: string[][]): string[][] => got.slice(1);

function writesByClient({ clients }: Crowd): () => number {
  const spies = clients.map(({ socket }) => {
    const { client } = socket as unknown as { client: { writeToEngine(packets: unknown, options: unknown): void } };
    return jest.spyOn(client, 'writeToEngine');
  });
  return () => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
}

describe('when a room gets one broadcast after the other', () => {
  it.each(['to(room)', 'to all'] as const)(
    'writes them without a look at the client of each recipient, %s',
    async (way) => {
      await using many = await crowd();
      const { server } = many.app;
      const target = way === 'to all' ? server : server.to('room');
      const looks = writesByClient(many);
      target.emit('text', 1);
      target.volatile.emit('text', 2);
      target.emit('bytes', Buffer.from([3]));
      expect(looks()).toBe(0);
      expect(await many.heard()).toEqual(
        all('42["text",1]', '42["text",2]', '451-["bytes",{"_placeholder":true,"num":0}]', '03'),
      );
    },
  );

  it('looks at each of them once more after somebody has come or gone', async () => {
    await using many = await crowd();
    const { server } = many.app;
    const looks = writesByClient(many);
    await many.first.socket.leave('room');
    server.to('room').emit('without', 1);
    expect(looks()).toBe(CLIENTS - 1);
    server.to('room').emit('without', 2);
    expect(looks()).toBe(CLIENTS - 1);
    await many.first.socket.join('room');
    for (const count of [3, 4]) server.to('room').emit('with', count);
    const got = await many.heard();
    expect(got[0]).toEqual(['42["with",3]', '42["with",4]']);
    expect(others(got)).toEqual(others(all('42["without",1]', '42["without",2]', '42["with",3]', '42["with",4]')));
  });

  it('leaves out who is excepted', async () => {
    await using many = await crowd();
    const looks = writesByClient(many);
    many.first.socket.to('room').emit('from me');
    many.app.server.except(many.first.socket.id).emit('not to one');
    expect(looks()).toBe(0);
    const got = await many.heard();
    expect(got[0]).toEqual([]);
    expect(others(got)).toEqual(others(all('42["from me"]', '42["not to one"]')));
  });

  it('reaches nobody who is gone, nor a newcomer in their place', async () => {
    await using many = await crowd();
    const { server } = many.app;
    const [gone] = many.clients.splice(0, 1);
    gone?.wire.tcp.destroy();
    await eventually(() => expect(server.sockets.sockets.size).toBe(CLIENTS - 1));
    using late = await many.app.client('late');
    await late.socket.leave('room');
    for (const count of [1, 2, 3]) server.to('room').emit('count', count);
    late.socket.emit('fence');
    await late.wire.got(isFence);
    expect(late.wire.texts).toEqual(['42["fence"]']);
    expect(await many.heard()).toEqual(others(all('42["count",1]', '42["count",2]', '42["count",3]')));
  });
});

describe('when something is in the way of one of many', () => {
  it('keeps the order with what is sent with a callback, also from within it', async () => {
    await using many = await crowd();
    const { server } = many.app;
    const engine = engineOf(many.first.socket);
    server.to('room').emit('one');
    engine.send('2["two"]', {}, () => {
      engine.send('2["four"]', {}, () => server.to('room').emit('six'));
      server.to('room').emit('five');
    });
    server.to('room').emit('three');
    await nextTurn();
    const got = await many.heard();
    expect(got[0]).toEqual(['one', 'two', 'three', 'four', 'five', 'six'].map((name) => `42["${name}"]`));
    expect(others(got)).toEqual(others(all('42["one"]', '42["three"]', '42["five"]', '42["six"]')));
  });

  it('keeps the order with a large message, which does not wait for the end of the turn', async () => {
    await using many = await crowd();
    const { server } = many.app;
    const large = 'x'.repeat(100_000);
    server.to('room').emit('one');
    many.first.socket.emit('large', large);
    server.to('room').emit('large', large);
    server.to('room').emit('two');
    const got = await many.heard();
    expect(got[0]).toEqual(['42["one"]', `42["large","${large}"]`, `42["large","${large}"]`, '42["two"]']);
    expect(others(got)).toEqual(others(all('42["one"]', `42["large","${large}"]`, '42["two"]')));
  });

  it('tells who observes one connection, or all that a socket gets, of every broadcast', async () => {
    await using many = await crowd();
    const { server } = many.app;
    const [packets, events]: unknown[][] = [[], []];
    engineOf(many.first.socket).on('packetCreate', (packet) => packets?.push((packet as { data: unknown }).data));
    many.clients[1]?.socket.onAnyOutgoing((event) => events?.push(event));
    for (const count of [1, 2]) server.to('room').emit('seen', count);
    expect(packets).toEqual(['2["seen",1]', '2["seen",2]']);
    expect(events).toEqual(['seen', 'seen']);
    expect(await many.heard()).toEqual(all('42["seen",1]', '42["seen",2]'));
  });

  it('tells who observes all connections', async () => {
    await using many = await crowd();
    const flushes: unknown[] = [];
    many.app.server.engine.on('flush', (socket: unknown) => flushes.push(socket));
    many.app.server.to('room').emit('seen');
    expect(flushes).toHaveLength(CLIENTS);
    many.app.server.engine.removeAllListeners('flush');
    expect(await many.heard()).toEqual(all('42["seen"]'));
  });

  it('reaches whom a listener lets in meanwhile, and not whom it puts out', async () => {
    await using many = await crowd();
    const { server } = many.app;
    const [first, second, third] = many.clients.map(({ socket }) => socket);
    await third?.leave('room');
    for (const count of [1, 2]) server.to('room').emit('without', count);
    second?.onAnyOutgoing(() => {
      void many.clients.at(-1)?.socket.leave('room');
      void third?.join('room');
    });
    server.to('room').emit('now');
    const got = await many.heard();
    expect([first?.connected, got[1]]).toEqual([true, ['42["without",1]', '42["without",2]', '42["now"]']]);
    expect(got[2]).toEqual(['42["now"]']);
    expect(got.at(-1)).toEqual(['42["without",1]', '42["without",2]']);
  });

  it('asks all of them for an answer from within a listener', async () => {
    await using many = await crowd();
    const { server } = many.app;
    for (const { wire } of many.clients) {
      void wire
        .got((text) => /^42\d+\["asked"\]$/.test(text))
        .then(() => {
          const id = wire.texts.map((text) => /^42(\d+)\["asked"\]$/.exec(text)?.[1]).find((found) => found);
          wire.send(`43${id}["yes"]`);
        });
    }
    const answers = new Promise<unknown[]>((resolve, reject) => {
      many.first.socket.onAnyOutgoing((event) => {
        if (event === 'news') server.to('room').timeout(GENEROUS_MS).emitWithAck('asked').then(resolve, reject);
      });
    });
    server.to('room').emit('news');
    expect(await answers).toEqual(Array.from({ length: CLIENTS }, () => 'yes'));
  });

  it('leaves a slow reader out of volatile broadcasts, and gives it all others in order', async () => {
    await using many = await crowd({ limits: { maxSendBufferBytes: 0, maxSendBufferMessages: 0 } });
    const { server } = many.app;
    const { first } = many;
    const text = 'x'.repeat(1_000);
    first.wire.tcp.pause();
    let sent = 0;
    for (; engineOf(first.socket).transport.writable && sent < 33_554; sent += 1) {
      server.to('room').emit('many', sent, text);
      if (sent % 50 === 0) await nextTurn();
    }
    expect(engineOf(first.socket).transport.writable).toBe(false);
    server.to('room').volatile.emit('volatile');
    for (let more = 0; more < 20; more += 1) server.to('room').emit('many', (sent += 1) - 1, text);
    first.wire.tcp.resume();
    const got = await many.heard();
    const expected = Array.from({ length: sent }, (_, count) => `42["many",${count},"${text}"]`);
    expect(got[0]).toEqual(expected);
    expect(got[1]?.filter((one) => one !== '42["volatile"]')).toEqual(expected);
    expect(got[1]).toHaveLength(sent + 1);
  });
});
