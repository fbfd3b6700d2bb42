import { jest } from '@jest/globals';
import { SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { RoomManager } from 'nestjs-realtime';
import type { Namespace, Socket } from 'socket.io';
import { eventually } from '../../support/eventually.js';
import { mintToken } from '../../support/tokens.js';
import { engineOf, wireApp, type Connected, type WireApp } from './wire.gateway.js';

/** Enough for a list of recipients. */
const CLIENTS = 18;
const ROOM = 'crowd/1';
const META = `{"room":"${ROOM}"}`;

@WebSocketGateway({ namespace: 'other' })
class OtherGateway {
  @WebSocketServer()
  server!: Namespace;

  @SubscribeMessage('echo')
  echo(_: Socket, data: unknown): unknown {
    return data;
  }
}

interface Crowd extends AsyncDisposable {
  readonly app: WireApp;
  readonly rooms: RoomManager;
  readonly clients: Connected[];
  readonly first: Connected;
  /** Each client's connection to the other namespace, over the same transport. */
  readonly others: Socket[];
  /** What each client has got since it was asked last. */
  heard(): Promise<string[][]>;
}

/** Members of one room, each in two namespaces. */
async function crowd(...[realtime]: Parameters<typeof wireApp>): Promise<Crowd> {
  const app = await wireApp(realtime, [OtherGateway]);
  const rooms = app.app.app.get(RoomManager);
  const { server } = app.app.app.get(OtherGateway);
  const clients: Connected[] = [];
  const others: Socket[] = [];
  for (let index = 0; index < CLIENTS; index += 1) {
    const client = await app.client(`user-${index}`, { extensions: 'permessage-deflate' });
    client.wire.send(`40/other,${JSON.stringify({ token: mintToken(`user-${index}`) })}`);
    await client.wire.got((text) => text.startsWith('40/other,'));
    client.wire.send('42/other,0["echo",0]');
    await client.wire.got((text) => text === '43/other,0[0]');
    const [sid] = [...server.sockets.keys()].slice(-1);
    clients.push(client);
    others.push(server.sockets.get(sid as string) as Socket);
  }
  for (const socket of [...clients.map((client) => client.socket), ...others]) await rooms.join(socket, ROOM);
  let count = 0;
  const heard = async (): Promise<string[][]> => {
    const answer = `43${(count += 1)}["fence"]`;
    const texts = clients.map(async ({ wire }) => {
      wire.send(`42${count}["echo","fence"]`);
      await wire.got((text) => text === answer);
      return wire.texts.slice(0, wire.texts.indexOf(answer));
    });
    const all = await Promise.all(texts);
    for (const { wire } of clients) wire.frames.splice(0);
    return all;
  };
  await heard();
  return {
    ...{ app, rooms, clients, others, heard, first: clients[0]! },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]();
      await app[Symbol.asyncDispose]();
    },
  };
}

const all = (...texts: string[]): string[][] => Array.from({ length: CLIENTS }, () => texts);
const both = (event: string): string[] => [`42["${event}",1,${META}]`, `42/other,["${event}",1,${META}]`];

/** Writes to the clients of recipients, one by one: what was written, and its options. */
function writesByClient({ clients }: Crowd): { count(): number; different(): number } {
  const spies = clients.map(({ socket }) => {
    const { client } = socket as unknown as { client: { writeToEngine(packets: unknown, options: unknown): void } };
    return jest.spyOn(client, 'writeToEngine');
  });
  const calls = (): unknown[][] => spies.flatMap(({ mock }) => mock.calls);
  return { count: () => calls().length, different: () => new Set(calls().map(([, options]) => options)).size };
}

describe('when members of several namespaces get what is said to their room', () => {
  it('frames it once for each namespace, and writes the next without a look at each client', async () => {
    await using many = await crowd();
    const { rooms } = many;
    const looks = writesByClient(many);
    rooms.emit(ROOM, 'first', 1);
    expect([looks.count(), looks.different()]).toEqual([2 * CLIENTS, 2]);
    rooms.emit(ROOM, 'second', 1);
    rooms.emit(ROOM, 'volatile', 1, { volatile: true });
    rooms.emit(ROOM, 'bytes', Buffer.from([3]));
    expect(looks.count()).toBe(2 * CLIENTS);
    const binary = ['', '/other,'].flatMap((nsp) => [
      `451-${nsp}["bytes",{"_placeholder":true,"num":0},${META}]`,
      '03',
    ]);
    expect(await many.heard()).toEqual(all(...both('first'), ...both('second'), ...both('volatile'), ...binary));
  });

  it('leaves out connections that are excluded, not their clients', async () => {
    await using many = await crowd();
    const exclude = [many.first.socket.id, many.others[1]!.id];
    for (const event of ['one', 'two', 'three']) many.rooms.emit(ROOM, event, 1, { exclude });
    const [first, second, ...rest] = await many.heard();
    expect(first).toEqual(['one', 'two', 'three'].map((event) => both(event)[1]));
    expect(second).toEqual(['one', 'two', 'three'].map((event) => both(event)[0]));
    expect(rest).toEqual(all(...both('one'), ...both('two'), ...both('three')).slice(2));
  });

  it('looks at each of them once more after a member has come or gone, and not for a native room', async () => {
    await using many = await crowd();
    const { rooms, first } = many;
    for (const event of ['one', 'two']) rooms.emit(ROOM, event, 1);
    const looks = writesByClient(many);
    await first.socket.leave(ROOM);
    await many.others[0]!.join('elsewhere');
    rooms.emit(ROOM, 'three', 1);
    expect(looks.count()).toBe(0);
    await rooms.leave(first.socket, ROOM);
    rooms.emit(ROOM, 'four', 1);
    expect(looks.count()).toBe(2 * CLIENTS - 1);
    await rooms.join(first.socket, ROOM);
    for (const event of ['five', 'six']) rooms.emit(ROOM, event, 1);
    const [got, ...rest] = await many.heard();
    const expected = [...['one', 'two', 'three'].flatMap(both), both('four')[1], ...both('five'), ...both('six')];
    expect(new Set(got)).toEqual(new Set(expected));
    expect(got).toHaveLength(11);
    for (const one of rest) expect(one).toHaveLength(12);
  });

  it('keeps the order with the app’s own emits and messages, also of a client that is observed', async () => {
    await using many = await crowd();
    const { rooms, first, app } = many;
    const packets: unknown[] = [];
    engineOf(many.clients[1]!.socket).on('packetCreate', (packet) => packets.push((packet as { data: unknown }).data));
    for (const event of ['one', 'two']) {
      rooms.emit(ROOM, event, 1);
      app.server.to(ROOM).emit('native', event);
      first.socket.emit('alone', event);
    }
    const got = await many.heard();
    const expected = ['one', 'two'].flatMap((event) => [...both(event), `42["native","${event}"]`]);
    expect(got.slice(1)).toEqual(all(...expected).slice(1));
    expect(got[0]).toEqual(
      ['one', 'two'].flatMap((event) => [...both(event), `42["native","${event}"]`, `42["alone","${event}"]`]),
    );
    expect(packets.slice(0, expected.length)).toEqual(expected.map((text) => text.slice(1)));
  });

  it('reaches nobody whom a listener of the app ends meanwhile, and everybody else once', async () => {
    await using many = await crowd();
    const { rooms, clients } = many;
    for (const event of ['one', 'two']) rooms.emit(ROOM, event, 1);
    await many.heard();
    const last = many.others.at(-1)!;
    clients[1]!.socket.onAnyOutgoing(() => last.disconnect());
    rooms.emit(ROOM, 'now', 1);
    const got = await many.heard();
    expect(got.slice(0, -1)).toEqual(all(...both('now')).slice(1));
    expect(got.at(-1)).toEqual(['41/other,', both('now')[0]]);
  });

  it('keeps it from the one client whose listener throws', async () => {
    const errors: unknown[] = [];
    await using many = await crowd({ onError: (error) => void errors.push((error as Error).message) });
    many.clients[1]!.socket.onAnyOutgoing((event) => {
      if (event !== 'fence') throw new Error(`no ${event as string}`);
    });
    for (const event of ['one', 'two', 'three']) many.rooms.emit(ROOM, event, 1);
    const [first, second, ...rest] = await many.heard();
    expect(second).toEqual(['one', 'two', 'three'].map((event) => both(event)[1]));
    for (const one of [first, ...rest]) expect(one).toEqual(['one', 'two', 'three'].flatMap(both));
    expect(errors).toEqual(['no one', 'no two', 'no three']);
  });

  it('compresses it once for all clients of a namespace', async () => {
    await using many = await crowd({ compression: {} });
    const text = 'a long text '.repeat(400);
    for (const event of ['one', 'two']) many.rooms.emit(ROOM, event, text);
    await Promise.all(many.clients.map(({ wire }) => eventually(() => expect(wire.frames).toHaveLength(4))));
    const [frames, ...rest] = many.clients.map(({ wire }) => wire.frames.map((frame) => frame.toString('hex')));
    for (const others of rest) expect(others).toEqual(frames);
    for (const frame of many.first.wire.frames) expect(frame.length).toBeLessThan(text.length / 10);
    expect(many.first.wire.texts[3]).toBe(`42/other,["two","${text}",${META}]`);
  });
});
