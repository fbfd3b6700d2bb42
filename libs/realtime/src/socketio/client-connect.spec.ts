import { EventEmitter } from 'node:events';
import { jest } from '@jest/globals';
import { Server, type Namespace } from 'socket.io';
import { watchUnknownNamespaces } from './client-connect.js';

interface Internals {
  readonly _nsps: ReadonlyMap<string, Namespace>;
  onconnection(conn: object): void;
}

/** Sends CONNECTs on a transport of their own; its answers are not of interest. */
function connect(server: Server, ...packets: string[]): void {
  const conn = Object.assign(new EventEmitter(), {
    ...{ id: 'id', protocol: 4, readyState: 'open', request: { headers: {}, connection: {} }, transport: {} },
    ...{ write: () => undefined, close: () => undefined },
  });
  (server as unknown as Internals).onconnection(conn);
  for (const packet of packets) conn.emit('data', packet);
  conn.emit('close', 'transport close');
}

const namesOf = (server: Server): string[] => [...(server as unknown as Internals)._nsps.keys()];

describe('a CONNECT to a namespace that a server does not have', () => {
  it('is led away before the namespace is made, with what the client said', () => {
    const server = new Server();
    server.of(/^\/t-/);
    const asked: unknown[] = [];
    watchUnknownNamespaces(server, (client, name, auth) => asked.push([client.server === server, name, auth]));
    connect(server, '0/t-1,{"token":"a"}', '0/t-2,');
    expect(asked).toEqual([
      [true, '/t-1', { token: 'a' }],
      [true, '/t-2', {}],
    ]);
    expect(namesOf(server)).toEqual(['/']);
  });

  it('goes its way if the namespace is there', () => {
    const server = new Server();
    server.of('/there');
    const asked: string[] = [];
    watchUnknownNamespaces(server, (_client, name) => asked.push(name));
    connect(server, '0/there,', '0');
    expect(asked).toEqual([]);
  });

  it('makes it on a server that nobody watches', () => {
    watchUnknownNamespaces(new Server(), () => undefined);
    const other = new Server();
    other.of(/^\/t-/);
    connect(other, '0/t-1,');
    expect(namesOf(other)).toEqual(['/', '/t-1']);
  });
});

describe('when Socket.IO connects its clients in another way', () => {
  it.each([
    ['has no Client.connect', (prototype: Record<string, unknown>) => delete prototype['connect']],
    [
      'does not call it',
      (prototype: Record<string, unknown>) => {
        const connect = prototype['connect'] as (name: string, auth: object) => void;
        prototype['ondecoded'] = function (this: object, { nsp }: { nsp: string }) {
          connect.call(this, nsp, {});
        };
      },
    ],
  ])('fails, and says why: it %s', async (_name, change) => {
    jest.resetModules();
    const { Server: Fresh } = await import('socket.io');
    const { watchUnknownNamespaces: watch } = await import('./client-connect.js');
    const server = new Fresh();
    let prototype: Record<string, unknown> = {};
    Object.assign(server.of('/probe'), {
      _add: (client: object) => (prototype = Object.getPrototypeOf(client) as Record<string, unknown>),
    });
    connect(server, '0/probe,');
    const untouched = { ...Object.getOwnPropertyDescriptors(prototype) };
    change(prototype);
    expect(() => watch(server, () => undefined)).toThrow('RealtimeModule cannot keep clients from making namespaces');
    Object.defineProperties(prototype, untouched);
  });
});
