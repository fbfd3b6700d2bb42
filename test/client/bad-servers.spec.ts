import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createRealtimeClient, type ConnectionState, type RealtimeClientOptions } from 'nestjs-realtime-client';
import { eventually } from '../support/eventually.js';
import { HELLO, bareServer } from './bare-server.js';
import { UNTRUSTED } from './untrusted-certificate.js';

interface BadServer {
  readonly url: string;
  close(): Promise<unknown>;
}

async function listening(server: Server, scheme = 'http'): Promise<BadServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function unreachable(): Promise<BadServer> {
  const gone = await listening(createTcpServer());
  await gone.close();
  return { ...gone, close: () => Promise.resolve() };
}

const answering = (listener: RequestListener): Promise<BadServer> => listening(createHttpServer(listener));

async function bare(options: Parameters<typeof bareServer>[0], path = ''): Promise<BadServer> {
  const server = await bareServer(options);
  return { url: server.url + path, close: async () => server[Symbol.asyncDispose]() };
}

const FAST: RealtimeClientOptions['socket'] = { timeout: 300 };
const POLLING: RealtimeClientOptions['socket'] = { transports: ['polling'] };
const page: RequestListener = (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Hi');

type Case = [
  name: string,
  start: () => Promise<BadServer>,
  status: string,
  code: string,
  socket?: RealtimeClientOptions['socket'],
];
const CASES: Case[] = [
  ['is unreachable', unreachable, 'waiting', 'UNAVAILABLE'],
  ['accepts and never answers', () => listening(createTcpServer()), 'waiting', 'TIMEOUT', FAST],
  ['closes at once', () => listening(createTcpServer((socket) => socket.destroy())), 'waiting', 'UNAVAILABLE'],
  [
    'ends each connection right after its hello',
    () => bare({ hello: HELLO, onConnect: (socket) => socket.conn.close() }),
    'waiting',
    'UNAVAILABLE',
  ],
  ['has another path', () => bare({ hello: HELLO }), 'waiting', 'UNAVAILABLE', { path: '/elsewhere' }],
  ['has no such namespace', () => bare({ hello: HELLO }, '/nowhere'), 'waiting', 'NOT_FOUND'],
  [
    'shows a certificate that nobody trusts',
    () => listening(createHttpsServer(UNTRUSTED), 'https'),
    'waiting',
    'UNAVAILABLE',
  ],
  ['says 403', () => answering((_, response) => response.writeHead(403).end()), 'waiting', 'UNAVAILABLE'],
  [
    'says 403 to polling',
    () => answering((_, response) => response.writeHead(403).end()),
    'waiting',
    'UNAVAILABLE',
    POLLING,
  ],
  ['serves a page instead', () => answering(page), 'waiting', 'UNAVAILABLE'],
  ['serves a page to polling', () => answering(page), 'waiting', 'UNAVAILABLE', POLLING],
  ['speaks a newer wire', () => bare({ hello: { ...HELLO, v: 2 } }), 'failed', 'INCOMPATIBLE'],
  ['says rubbish for a hello', () => bare({ hello: 'hi' }), 'failed', 'INCOMPATIBLE'],
  [
    'sends it away for good',
    () => bare({ hello: HELLO, onConnect: (socket) => socket.disconnect() }),
    'failed',
    'DISCONNECTED',
  ],
];

describe('when a server', () => {
  const rejections: unknown[] = [];
  const note = (reason: unknown): number => rejections.push(reason);
  beforeAll(() => void process.on('unhandledRejection', note));
  afterAll(() => void process.off('unhandledRejection', note));

  it.each(CASES)('%s: there is a state, a code and a next step', async (_, start, status, code, socket = {}) => {
    const server = await start();
    const attempts: number[] = [];
    const getToken = () => `token ${attempts.push(performance.now())}`;
    const client = createRealtimeClient(server.url, { getToken, socket });
    try {
      const first = await new Promise<ConnectionState>((resolve) => {
        client.on('state', (now, state) => {
          if (now === 'waiting' || now === 'failed') resolve(state);
        });
        client.connect();
      });
      expect([first.status, first.error?.code]).toEqual([status, code]);
      expect(first.error?.message.length).toBeGreaterThan(2);
      expect(attempts).toHaveLength(1);
      if (status === 'waiting') {
        await eventually(() => expect(attempts.length).toBeGreaterThan(1));
        // From the attempt that failed, because the wait has begun when it is told. A timer may fire a millisecond early.
        const [failed = 0, retried = 0] = attempts;
        expect(retried - failed).toBeGreaterThanOrEqual((first.retryInMs ?? Infinity) - 2);
      } else await expect(client.request('x', 1)).rejects.toMatchObject({ code });
      expect(rejections).toEqual([]);
    } finally {
      client.close();
      await server.close();
    }
  });

  it('does not say hello at all, the client does not count itself connected', async () => {
    const server = await bare({});
    const client = createRealtimeClient(server.url, { getToken: () => undefined });
    const drops = client.request('x', 1, { timeoutMs: 300 });
    await expect(drops).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(client.state).toBe('connecting');
    client.close();
    await server.close();
  });

  it('is older and leaves things out, the client gets by', async () => {
    await using server = await bareServer({ hello: { v: 1, connectionId: 'old' } });
    const client = createRealtimeClient(server.url, { getToken: () => undefined });
    expect(await client.request('x', 1, { idempotent: true })).toBeNull();
    expect([client.hello?.requestWindowMs, server.heard[0]?.rt]).toEqual([0, undefined]);
    client.close();
  });

  it('sends what no server of ours sends, the client stays', async () => {
    await using server = await bareServer({
      hello: HELLO,
      onConnect: (socket) => {
        for (const event of ['bye', 'drain', 'presence', 'room', 'token', 'future'])
          for (const data of [undefined, null, 7, {}, [], { room: 'r' }]) socket.emit(`realtime:${event}`, data);
        socket.emit('message', 1, 'no meta');
      },
    });
    const client = createRealtimeClient(server.url, { getToken: () => undefined });
    expect(await client.request('x', 1)).toBeNull();
    await eventually(() => expect(client.state).toBe('connected'));
    client.close();
  });
});
