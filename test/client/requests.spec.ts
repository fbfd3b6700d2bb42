import {
  createRealtimeClient,
  storedOutbox,
  type OutboxStorage,
  type RealtimeClient,
  type RealtimeClientOptions,
} from 'nestjs-realtime-client';
import { eventually } from '../support/eventually.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { mintToken } from '../support/tokens.js';
import { HELLO, bareServer, helloTo, type Heard } from './bare-server.js';

const clients: RealtimeClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

function clientOf(url: string, options: Partial<RealtimeClientOptions> = {}): RealtimeClient {
  const client = createRealtimeClient(url, { getToken: () => mintToken('ada'), ...options });
  clients.push(client);
  return client;
}

class MemoryStorage implements OutboxStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);

  /** What the next program finds; the one before is still alive in this test, and has its own. */
  copied(from: string, to: string): this {
    this.items.set(to, this.items.get(from) ?? '');
    return this;
  }
}

/** An address at which nobody listens. */
async function nowhere(): Promise<string> {
  const server = await bareServer();
  await server[Symbol.asyncDispose]();
  return server.url;
}

const numbers = (heard: readonly Heard[]): unknown[] => heard.map(({ data }) => data);

describe('when the connection ends between a request and its answer', () => {
  it('sends an idempotent one again: the same id, the next attempt, before what came later', async () => {
    await using server = await bareServer({
      hello: helloTo,
      onRequest: ({ ack }, socket, count) => (count === 1 ? socket.conn.close() : ack(count)),
    });
    const client = clientOf(server.url);
    const answers = [1, 2].map((n) => client.request('count', n, { idempotent: true, offline: 'queue' }));
    expect(await Promise.all(answers)).toEqual([2, 3]);
    const [first, again] = server.heard;
    expect(numbers(server.heard)).toEqual([1, 1, 2]);
    expect(first?.rt).toEqual({ id: expect.stringMatching(/^[0-9a-f]{32}$/), attempt: 1 });
    expect(again?.rt).toEqual({ id: first?.rt?.id, attempt: 2 });
  });

  it('says UNKNOWN of any other, and sends it no second time', async () => {
    await using server = await bareServer({
      hello: helloTo,
      onRequest: ({ ack }, socket, count) => (count === 1 ? socket.conn.close() : ack(null)),
    });
    const client = clientOf(server.url);
    await expect(client.request('count', 1)).rejects.toMatchObject({ code: 'UNKNOWN' });
    await client.request('fence', 2, { offline: 'queue' });
    expect(server.heard.map(({ data, rt }) => [data, rt])).toEqual([
      [1, undefined],
      [2, undefined],
    ]);
  });

  it('does not pretend towards a server that remembers nothing', async () => {
    await using server = await bareServer({
      hello: { ...HELLO, requestWindowMs: 0 },
      onRequest: (_, socket) => socket.conn.close(),
    });
    const request = clientOf(server.url).request('count', 1, { idempotent: true, offline: 'queue' });
    await expect(request).rejects.toMatchObject({ code: 'UNKNOWN' });
    expect(server.heard[0]?.rt).toBeUndefined();
  });
});

describe('when a caller changes its mind', () => {
  it('ends the wait with ABORTED, and does not send what was not sent', async () => {
    await using server = await bareServer({ hello: helloTo, onRequest: ({ data, ack }) => data === 1 || ack(null) });
    const client = clientOf(server.url);
    const [flying, queued] = [new AbortController(), new AbortController()];
    const requests = [
      client.request('count', 1, { signal: flying.signal }),
      client.request('count', 2, { signal: queued.signal }),
      client.request('count', 3),
    ];
    const settled = Promise.allSettled(requests);
    await eventually(() => expect(numbers(server.heard)).toEqual([1]));
    queued.abort();
    flying.abort();
    expect(await settled).toMatchObject([
      { reason: { code: 'ABORTED' } },
      { reason: { code: 'ABORTED' } },
      { value: null },
    ]);
    expect(numbers(server.heard)).toEqual([1, 3]);
  });
});

describe('when a program ends with requests in its outbox', () => {
  it('sends them from the next one, with the device and the ids of the first', async () => {
    await using server = await bareServer({
      hello: helloTo,
      onRequest: ({ ack }, __, count) => count === 1 || ack(count),
    });
    await using proxy = await startTcpProxy({ port: Number(new URL(server.url).port) });
    const storage = new MemoryStorage();
    const before = clientOf(`http://127.0.0.1:${proxy.port}`, {
      outbox: { store: storedOutbox({ storage, key: 'k' }) },
    });
    const [one, two] = [1, 2].map((n) => before.request('count', n, { idempotent: true, offline: 'queue' }));
    one?.catch(() => undefined);
    two?.catch(() => undefined);
    await eventually(() => expect(server.heard).toHaveLength(1));
    // As if its process was gone: nothing of it comes through any more, nothing was closed.
    proxy.cut();
    const outbox = { store: storedOutbox({ storage: storage.copied('k', 'next'), key: 'next' }) };
    const after = clientOf(server.url, { outbox, principal: 'ada' });
    const ends: unknown[] = [];
    after.outbox.on('settled', ({ data, answer, isRestored }) => ends.push([data, answer, isRestored]));
    await eventually(() =>
      expect(ends).toEqual([
        [1, 2, true],
        [2, 3, true],
      ]),
    );
    expect(server.heard[1]).toMatchObject({ rt: { id: server.heard[0]?.rt?.id, attempt: 2 }, device: before.device });
    expect(after.device).toBe(before.device);
  });

  it('sends nothing as another user, and everything when the first is back', async () => {
    const storage = new MemoryStorage();
    const first = { store: storedOutbox({ storage, key: 'first' }) };
    const offline = clientOf(await nowhere(), { outbox: first, principal: 'ada' });
    await offline.outbox.ready;
    offline.request('count', 1, { offline: 'queue' }).catch(() => undefined);
    const outbox = { store: storedOutbox({ storage: storage.copied('first', 'k'), key: 'k' }) };

    await using server = await bareServer({ hello: helloTo });
    const bob = clientOf(server.url, { outbox, getToken: () => mintToken('bob') });
    await bob.request('fence', 2);
    expect([numbers(server.heard), bob.outbox.pending]).toEqual([[2], []]);
    bob.close();
    expect(JSON.parse(storage.items.get('k') ?? '')).toMatchObject({ entries: [{ data: 1, principal: 'ada' }] });

    const ada = clientOf(server.url, { outbox });
    await ada.request('fence', 3);
    await eventually(() => expect(numbers(server.heard)).toEqual([2, 1, 3]));
    await eventually(() => expect(storage.items.has('k')).toBe(false));
  });

  it.each([
    [
      'is denied',
      {
        getItem: () => {
          throw new Error('denied');
        },
      },
    ],
    [
      'is full',
      {
        setItem: () => {
          throw new Error('QuotaExceededError');
        },
      },
    ],
    ['does not answer', { getItem: () => Promise.reject(new Error('gone')) }],
    ['holds rubbish', { getItem: () => '{"v":1,"entries":[{"id":7}]}' }],
  ])('goes on in memory if the storage %s, and says so once at most', async (_, broken) => {
    await using server = await bareServer({ hello: helloTo });
    const storage = Object.assign(new MemoryStorage(), broken);
    const client = clientOf(server.url, { outbox: { store: storedOutbox({ storage }) }, principal: 'ada' });
    const notices: unknown[] = [];
    client.outbox.on('notice', (notice) => notices.push(notice));
    for (const n of [1, 2, 3]) await client.request('count', n, { offline: 'queue' });
    expect(numbers(server.heard)).toEqual([1, 2, 3]);
    expect(notices.length).toBe(_ === 'holds rubbish' ? 0 : 1);
  });
});

describe('when handlers of the app throw', () => {
  it('goes on, whatever they do', async () => {
    await using server = await bareServer({ hello: helloTo, onConnect: (socket) => socket.emit('news', 1) });
    const errors: unknown[] = [];
    const report = console.error;
    console.error = (error: unknown) => errors.push(error);
    try {
      const fail = (): never => {
        throw new Error('of the app');
      };
      const client = clientOf(server.url, { debug: fail });
      client.on('state', fail);
      client.on('hello', fail);
      client.on('news', fail);
      client.outbox.on('change', fail);
      client.outbox.on('settled', fail);
      expect(await client.request('count', 1)).toBeNull();
      expect([client.state, errors.length > 3]).toEqual(['connected', true]);
      client.close();
    } finally {
      console.error = report;
    }
  });
});

describe('when a token cannot be had', () => {
  it('waits between its attempts, and refreshes with its own retry', async () => {
    await using server = await bareServer({
      hello: helloTo,
      onConnect: (socket) => socket.emit('realtime:token', { expiresAt: 1 }),
    });
    let calls = 0;
    const getToken = (): string => {
      calls += 1;
      if (calls === 1 || calls === 3) throw new Error('the login is down');
      return mintToken('ada');
    };
    const client = clientOf(server.url, { getToken });
    const seen: unknown[] = [];
    client.on('state', (status, { error }) => seen.push([status, error?.code]));
    client.connect();
    await eventually(() => expect(server.heard.map(({ event }) => event)).toEqual(['realtime:refresh']));
    expect([calls, seen.slice(0, 2)]).toEqual([
      4,
      [
        ['connecting', undefined],
        ['waiting', 'NO_TOKEN'],
      ],
    ]);
  });
});
