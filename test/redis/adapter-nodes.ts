import { createServer, type Server as HttpServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import { RedisConnection, createRedisAdapter, noMetrics, type RedisOptions } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { TIMES } from './bus-nodes.js';

const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };

/** A bare Socket.IO server with our adapter, and a client in one room. */
export interface AdapterNode extends AsyncDisposable {
  io: Server;
  client: Socket;
  received: unknown[];
  dropped: string[];
}

export async function startAdapterNode(redis: RedisOptions, mode: 'pubsub' | 'sharded'): Promise<AdapterNode> {
  const dropped: string[] = [];
  const metrics = { ...noMetrics, dropped: (kind: string) => void dropped.push(kind) };
  const connection = new RedisConnection({ ...TIMES, ...redis, adapter: { mode } }, { metrics, logger: quiet });
  const adapter = createRedisAdapter(connection);
  const http: HttpServer = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  const server = new Server(http, { adapter: adapter.factory });
  server.on('connection', (socket) => void socket.join('room'));
  const client = io(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, { transports: ['websocket'] });
  const received: unknown[] = [];
  client.on('news', (value: unknown) => received.push(value));
  await new Promise<void>((resolve) => client.once('connect', resolve));
  return {
    io: server,
    client,
    received,
    dropped,
    async [Symbol.asyncDispose]() {
      client.disconnect();
      await server.close();
      await adapter.close();
      await connection.close();
    },
  };
}

/** Subscriptions of the adapter are not announced: the nodes are connected when both hear each other. */
export async function untilConnected(a: AdapterNode, b: AdapterNode, deadlineMs = 15_000): Promise<void> {
  await eventually(() => {
    a.io.to('room').emit('news', 'hello');
    b.io.to('room').emit('news', 'hello');
    expect(a.received.length).toBeGreaterThan(0);
    return pairHears(a, b, 500);
  }, deadlineMs);
  await eventually(() => pairHears(b, a, 500), deadlineMs);
  // What is emitted before a node is connected to Redis is dropped, and says so.
  for (const node of [a, b]) node.received.length = node.dropped.length = 0;
}

export async function pairHears(from: AdapterNode, to: AdapterNode, deadlineMs = 2_000): Promise<void> {
  const marker = `marker ${Math.random()}`;
  from.io.to('room').emit('news', marker);
  await eventually(() => expect(to.received).toContain(marker), deadlineMs);
}

/** Twenty emits, all of them. */
export async function hearsAll(from: AdapterNode, to: AdapterNode): Promise<void> {
  const sent = Array.from({ length: 20 }, () => `${Math.random()}`);
  for (const value of sent) from.io.to('room').emit('news', value);
  await eventually(() => expect(to.received).toEqual(expect.arrayContaining(sent)));
}
