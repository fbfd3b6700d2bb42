import { Server, type Namespace } from 'socket.io';
import { leanBroadcasts } from './lean-broadcast.js';

interface Written {
  readonly id: string;
  readonly packets: unknown;
}

/** Sockets without transports, in rooms: what an adapter looks at when it broadcasts. */
function populate(namespace: Namespace, rooms: Readonly<Record<string, readonly string[]>>): Written[] {
  const written: Written[] = [];
  const ids = new Set(Object.values(rooms).flat());
  for (const id of ids) {
    const client = { writeToEngine: (packets: unknown) => written.push({ id, packets }) };
    namespace.sockets.set(id, { id, client, notifyOutgoingListeners: () => undefined } as never);
    const joined = Object.keys(rooms).filter((room) => rooms[room]?.includes(id));
    void namespace.adapter.addAll(id, new Set(joined));
  }
  return written;
}

const ROOMS = { a: ['1', '2', '3'], b: ['3', '2', '4'], c: ['5'] };

function servers(): { stock: Server; lean: Server } {
  const [stock, lean] = [new Server(), new Server()];
  leanBroadcasts(lean);
  return { stock, lean };
}

describe('when a broadcast goes to rooms', () => {
  const targets: [string, (namespace: Namespace) => { emit(event: string): unknown }][] = [
    ['one', (namespace) => namespace.to('a')],
    ['several', (namespace) => namespace.to('a').to('b')],
    ['one, except another', (namespace) => namespace.to('a').except('b')],
    ['all', (namespace) => namespace],
    ['all, except one', (namespace) => namespace.except('b')],
    ['one without members', (namespace) => namespace.to('nobody')],
    ['one without members, and another', (namespace) => namespace.to('nobody').to('c')],
  ];

  it.each(targets)('reaches the same sockets in the same order as ever: %s', (_, target) => {
    const { stock, lean } = servers();
    const reached = [stock, lean].map((server) => {
      const written = populate(server.of('/'), ROOMS);
      target(server.of('/')).emit('event');
      return written;
    });
    expect(reached[1]).toEqual(reached[0]);
  });

  it('does so in namespaces that come later', () => {
    const { lean } = servers();
    const later = lean.of('/later');
    const written = populate(later, ROOMS);
    later.to('a').emit('event');
    expect(written.map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(Object.hasOwn(later.adapter, 'apply')).toBe(true);
  });

  it('reaches nobody who is gone, and ends with those who leave meanwhile', () => {
    const { lean } = servers();
    const namespace = lean.of('/');
    const written = populate(namespace, ROOMS);
    namespace.sockets.delete('1');
    const second = namespace.sockets.get('2') as unknown as { notifyOutgoingListeners: () => void };
    second.notifyOutgoingListeners = () => void namespace.adapter.delAll('3');
    namespace.to('a').emit('event');
    expect(written.map(({ id }) => id)).toEqual(['2']);
  });
});

describe('when a broadcast reaches nobody here', () => {
  const unencodable = { toJSON: () => fail() };
  const fail = (): never => {
    throw new Error('it was encoded');
  };

  it('is not encoded', () => {
    const { lean, stock } = servers();
    for (const server of [lean, stock]) populate(server.of('/'), ROOMS);
    expect(() => stock.to('nobody').emit('event', unencodable)).toThrow('it was encoded');
    expect(() => lean.to('nobody').emit('event', unencodable)).not.toThrow();
    expect(() => lean.to(['nobody', 'c']).emit('event', unencodable)).toThrow('it was encoded');
    expect(() => lean.to('nobody').emit('event', unencodable)).not.toThrow();
  });
});
