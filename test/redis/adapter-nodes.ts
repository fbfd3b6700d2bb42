import { createServer, type Server as HttpServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import type { Clock } from 'nestjs-realtime/testing';
import { RedisConnection, createRedisAdapter, noMetrics, systemClock, type RedisOptions } from '../support/engines.js';
import { GENEROUS_MS, eventually } from '../support/eventually.js';
import { TIMES } from './bus-nodes.js';

/** A bare Socket.IO server with our adapter, and a client in one room. */
export interface AdapterNode extends AsyncDisposable {
  io: Server;
  client: Socket;
  received: unknown[];
  dropped: string[];
  /** Warnings and errors. */
  logged: string[];
}

export async function startAdapterNode(
  redis: RedisOptions,
  mode: 'pubsub' | 'sharded',
  clock: Clock = systemClock,
): Promise<AdapterNode> {
  const dropped: string[] = [];
  const metrics = { ...noMetrics, dropped: (kind: string) => void dropped.push(kind) };
  const logged: string[] = [];
  const say = (line: string): void => void logged.push(line);
  const logger = { log: () => undefined, warn: say, error: say };
  const options = { ...TIMES, ...redis, adapter: { requestsTimeoutMs: GENEROUS_MS, ...redis.adapter, mode } };
  const connection = new RedisConnection(options, { clock, metrics, logger });
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
    logged,
    async [Symbol.asyncDispose]() {
      client.disconnect();
      endQuestions(server);
      await server.close();
      await adapter.close();
      await connection.close();
    },
  };
}

/** What nobody has answered would keep its timer until its deadline. */
function endQuestions(server: Server): void {
  const { requests } = server.sockets.adapter as unknown as { requests: Map<string, { timeout: NodeJS.Timeout }> };
  for (const { timeout } of requests.values()) clearTimeout(timeout);
}

/** Subscriptions of the adapter are not announced: the nodes are connected when both hear each other. */
export async function untilConnected(a: AdapterNode, b: AdapterNode): Promise<void> {
  await hearsAtLast(a, b);
  await hearsAtLast(b, a);
  // Nothing of what was tried is on its way any more.
  await hearsAll(a, b);
  await hearsAll(b, a);
  // What is emitted before a node is connected to Redis is dropped, and says so.
  for (const node of [a, b]) node.received.length = node.dropped.length = 0;
}

/** Emits are at most once: what was emitted too early is lost, and another one is tried until any of them arrives. */
export async function hearsAtLast(from: AdapterNode, to: AdapterNode): Promise<void> {
  const sent: string[] = [];
  await eventually(() => {
    const marker = `marker ${Math.random()}`;
    sent.push(marker);
    from.io.to('room').emit('news', marker);
    expect(to.received.filter((value) => sent.includes(value as string))).not.toEqual([]);
  });
}

/** Twenty emits, all of them; the last one is a fence for what went the same way before. */
export async function hearsAll(from: AdapterNode, to: AdapterNode): Promise<void> {
  const sent = Array.from({ length: 20 }, () => `${Math.random()}`);
  for (const value of sent) from.io.to('room').emit('news', value);
  await eventually(() => expect(to.received).toEqual(expect.arrayContaining(sent)));
}
