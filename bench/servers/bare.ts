import { once } from 'node:events';
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import jwt from 'jsonwebtoken';
import { createClient } from 'redis';
import { Server, type ServerOptions, type Socket } from 'socket.io';
import { BENCH_SECRET } from '../harness/tokens.js';
import { MESSAGE } from '../load/wire.js';
import { portOf, serve } from './serve.js';

/** Socket.IO without a framework; with `REDIS_URL` the streams adapter and connection state recovery, as its guide sets them up. */
type Ack = (answer: unknown) => void;

const EVENTS = [
  'message.edit',
  'message.delete',
  'message.read',
  'typing.start',
  'typing.stop',
  'profile.get',
  'status.set',
];

const echo = (body: unknown, ack?: Ack): void => ack?.(body);

function send(body: { readonly text: string }, ack?: Ack): void {
  ack?.({ ok: true, length: body.text.length });
}

function authenticate(socket: Socket, next: (error?: Error) => void): void {
  const { token } = socket.handshake.auth as { token: string };
  jwt.verify(token, BENCH_SECRET, (error, claims) => {
    (socket.data as { user?: unknown }).user = claims;
    next(error ?? undefined);
  });
}

async function enter(this: Socket, { room }: { readonly room: string }, ack?: Ack): Promise<void> {
  await this.join(room);
  ack?.(true);
}

async function leave(this: Socket, { room }: { readonly room: string }, ack?: Ack): Promise<void> {
  await this.leave(room);
  ack?.(true);
}

function connected(socket: Socket): void {
  for (const event of EVENTS) socket.on(event, echo);
  socket.on('message.send', send);
  socket.on('channel.enter', enter);
  socket.on('channel.exit', leave);
}

async function redisOptions(): Promise<Partial<ServerOptions>> {
  const url = process.env['REDIS_URL'];
  if (!url) return {};
  const client = createClient({ url });
  await client.connect();
  return {
    adapter: createAdapter(client),
    connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: true },
  };
}

const http = createServer();
/** The threshold that the documentation shows. */
const deflate = process.env['BENCH_DEFLATE'] ? { perMessageDeflate: { threshold: 1_024 } } : {};
const io = new Server(http, { transports: ['websocket'], serveClient: false, ...deflate, ...(await redisOptions()) });
io.use(authenticate);
io.on('connection', connected);
http.listen(0, '127.0.0.1');
await once(http, 'listening');
serve(portOf(http), { emit: (room, message) => io.to(room).emit(MESSAGE, message) });
