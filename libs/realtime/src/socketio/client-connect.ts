import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Server, type Namespace, type Socket } from 'socket.io';

// A CONNECT to a namespace that does not exist is led here, before Socket.IO makes the namespace: a function in place of the
// pattern, its public way, is told the name and nothing of the request.
// Invariant: a server that is watched makes no namespace for a client by itself.

/** Socket.IO's side of one transport. */
export interface ConnectingClient {
  readonly server: Server;
  readonly conn: Socket['conn'];
  readonly request: IncomingMessage;
  connect(name: string, auth?: Record<string, unknown>): void;
  /** Connects to a namespace that is there. */
  doConnect(name: string, auth: Record<string, unknown>): void;
  _packet(packet: object): void;
}

type OnUnknown = (client: ConnectingClient, name: string, auth: Record<string, unknown>) => void;

interface ServerInternals {
  readonly _nsps: ReadonlyMap<string, Namespace>;
  onconnection(conn: object): void;
}

const watched = new WeakMap<Server, OnUnknown>();
let isHooked = false;

/**
 * `onUnknown` decides on every CONNECT to a namespace that this server does not have. Other servers of the process are left alone.
 * @throws Error if Socket.IO connects its clients in another way: to go on would mean to make what clients name.
 */
export function watchUnknownNamespaces(server: Server, onUnknown: OnUnknown): void {
  if (!isHooked) hook();
  isHooked = true;
  watched.set(server, onUnknown);
}

function hook(): void {
  const prototype = clientPrototype();
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with the client that it belongs to
  const { connect } = prototype;
  prototype.connect = function (name, auth = {}) {
    const { server } = this;
    const onUnknown = internalsOf(server)._nsps.has(name) ? undefined : watched.get(server);
    if (onUnknown) onUnknown(this, name, auth);
    else connect.call(this, name, auth);
  };
  try {
    prove();
  } catch (error) {
    prototype.connect = connect;
    throw error;
  }
}

/** Of a class that Socket.IO does not export: seen where a namespace is given a client. */
function clientPrototype(): ConnectingClient {
  const server = new Server();
  let found: ConnectingClient | undefined;
  const namespace = server.of(TRIAL) as unknown as { _add(client: ConnectingClient): void };
  namespace._add = (client) => (found = client);
  connectTo(server);
  const prototype = found && (Object.getPrototypeOf(found) as ConnectingClient);
  if (typeof prototype?.connect !== 'function' || typeof prototype.doConnect !== 'function') throw unknownVersion();
  return prototype;
}

function prove(): void {
  const server = new Server();
  server.of(new RegExp(`^${TRIAL}$`));
  const asked: string[] = [];
  watched.set(server, (_client, name) => asked.push(name));
  connectTo(server);
  if (asked.join() !== TRIAL || internalsOf(server)._nsps.has(TRIAL)) throw unknownVersion();
}

const TRIAL = '/nestjs-realtime-trial';

/** What a client's CONNECT does in a server, without a network. The client has gone by the time anything is answered. */
function connectTo(server: Server): void {
  const conn = Object.assign(new EventEmitter(), {
    id: 'trial',
    protocol: 4,
    readyState: 'open',
    transport: {},
    request: { headers: {}, connection: {} },
    close: () => undefined,
  });
  internalsOf(server).onconnection(conn);
  conn.emit('data', `0${TRIAL},`);
  conn.readyState = 'closed';
  conn.emit('close', 'transport close');
}

function internalsOf(server: Server): ServerInternals {
  return server as unknown as ServerInternals;
}

function unknownVersion(): Error {
  return new Error(
    'RealtimeModule cannot keep clients from making namespaces: this version of socket.io connects its clients in another way than by Client.connect(). Use one that package.json of nestjs-realtime names.',
  );
}
