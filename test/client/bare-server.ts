import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import jwt from 'jsonwebtoken';
import { Server, type Socket } from 'socket.io';

/** A request as it came over the wire. */
export interface Heard {
  readonly event: string;
  readonly data: unknown;
  readonly rt: { id: string; attempt: number } | undefined;
  readonly device: string | undefined;
  ack(answer: unknown): void;
}

export interface BareServer extends AsyncDisposable {
  readonly url: string;
  readonly io: Server;
  readonly heard: Heard[];
  /** Connections so far. */
  readonly connects: number;
}

interface BareOptions {
  /** What `realtime:hello` says, to each the same or not; undefined: nothing is said. */
  hello?: unknown;
  onConnect?(socket: Socket, count: number): void;
  /** Called for each request; without it everything is answered with `null`. */
  onRequest?(heard: Heard, socket: Socket, count: number): void;
}

export const HELLO = {
  connectionId: 'c',
  v: 1,
  node: 'bare',
  limits: { messagesPerSecond: 100, burst: 200, maxPayloadBytes: 65_536, maxRooms: 128 },
  requestWindowMs: 300_000,
};

/** As our server: each connection has an id of its own, and is told whose it is. */
export function helloTo({ id, handshake }: Socket): object {
  const { sub } = jwt.decode((handshake.auth as { token: string }).token) as { sub: string };
  return { ...HELLO, connectionId: id, userRoom: `user/${sub}` };
}

/** The other side of the wire without any of our server: of another version, or misbehaving exactly as a test says. */
export async function bareServer({ hello, onConnect, onRequest }: BareOptions = {}): Promise<BareServer> {
  const http = createServer();
  const io = new Server(http);
  const heard: Heard[] = [];
  let connects = 0;
  io.on('connection', (socket) => {
    connects += 1;
    const said: unknown = typeof hello === 'function' ? (hello as (socket: Socket) => unknown)(socket) : hello;
    if (said !== undefined) socket.emit('realtime:hello', said);
    onConnect?.(socket, connects);
    const device = (socket.handshake.auth as { rt?: { device?: string } }).rt?.device;
    socket.onAny((event: string, data: unknown, ...rest: unknown[]) => {
      const last = rest.at(-1);
      const ack = typeof last === 'function' ? (last as (answer: unknown) => void) : () => undefined;
      const rt = (rest[0] as { $rt?: Heard['rt'] } | undefined)?.$rt;
      const request = { event, data, rt, device, ack };
      heard.push(request);
      if (onRequest) onRequest(request, socket, heard.length);
      else ack(null);
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    io,
    heard,
    get connects() {
      return connects;
    },
    [Symbol.asyncDispose]: () => io.close(),
  };
}
