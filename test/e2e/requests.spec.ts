import { randomBytes } from 'node:crypto';
import { UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { NEVER, concat, of, type Observable } from 'rxjs';
import type { Socket } from 'socket.io';
import { RealtimeError, RequestId, RoomManager, RoomPolicy, getRequest, type RealtimeOptions } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';

const newId = (): string => randomBytes(16).toString('base64url');
const envelope = (id: string, attempt = 1) => ({ $rt: { id, attempt } });

/** What ran, whichever node ran it: all of them live in this process. */
const runs: { id: unknown; attempt: unknown; data: unknown }[] = [];
const runsOf = (id: string): number => runs.filter((run) => run.id === id).length;
let gate = Promise.resolve();

class RequestGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = getRequest(context);
    runs.push({ id: request?.id, attempt: request?.attempt, data: context.switchToWs().getData() });
    return true;
  }
}

@RoomPolicy('open/:id', {})
class OpenPolicy {
  canJoin = (): boolean => true;
  canPublish = (): boolean => true;
}

@UseGuards(RequestGuard)
@WebSocketGateway({ namespace: 'orders' })
class OrdersGateway {
  private failures = 0;

  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('order')
  async order(@MessageBody() body: unknown, @RequestId() id: string | undefined) {
    await gate;
    return { id, body, number: Math.random() };
  }

  @SubscribeMessage('large')
  large(@MessageBody() length: number): string {
    return 'x'.repeat(length);
  }

  @SubscribeMessage('binary')
  binary(): Buffer {
    return Buffer.from('binary');
  }

  @SubscribeMessage('conflict')
  conflict(): void {
    throw new RealtimeError('CONFLICT', `conflict ${Math.random()}`, { details: { sold: true } });
  }

  @SubscribeMessage('flaky')
  flaky(): number {
    if ((this.failures += 1) === 1) throw new RealtimeError('UNAVAILABLE');
    return getRequest()?.attempt ?? 0;
  }

  @SubscribeMessage('endless')
  endless(@ConnectedSocket() socket: Socket): Observable<unknown> {
    if (getRequest()?.attempt === 2) return of('second');
    socket.disconnect();
    return concat(of(undefined), NEVER);
  }

  @SubscribeMessage('say')
  async say(@MessageBody() { room, fail }: { room: string; fail?: boolean }) {
    const replies = [
      await this.rooms.publish(room, 'said', { n: 1, at: Math.random() }),
      await this.rooms.publish(room, 'said', { n: 2 }),
    ];
    if (fail && getRequest()?.attempt === 1) throw new RealtimeError('UNAVAILABLE');
    return replies.map(({ id }) => id);
  }
}

let redis: TestRedis;
beforeAll(async () => void (redis = await startRedis()));
afterAll(() => redis[Symbol.asyncDispose]());

interface Engine {
  readonly name: string;
  readonly boot: (options?: Partial<RealtimeOptions>) => Promise<TestApp[]>;
}

const bootOne = (realtime: Partial<RealtimeOptions>): Promise<TestApp> =>
  bootApp({ providers: [OrdersGateway, RequestGuard, OpenPolicy], realtime });

const ENGINES: Engine[] = [
  { name: 'one node in memory', boot: async (options = {}) => [await bootOne(options)] },
  {
    name: 'two nodes on Redis',
    boot: (options = {}) => {
      const keyPrefix = `${randomBytes(6).toString('hex')}:`;
      const boot = () => bootOne({ ...options, redis: { url: redis.url, keyPrefix } });
      return Promise.all([boot(), boot()]);
    },
  },
];

describe.each(ENGINES)('when requests are sent to $name', ({ boot }) => {
  let apps: TestApp[];
  let clients: StockClient[];

  beforeEach(async () => {
    runs.length = 0;
    gate = Promise.resolve();
    clients = [];
    apps = await boot({ requests: { maxRecordBytes: 1_000 } });
  });
  afterEach(async () => {
    for (const client of clients) await client[Symbol.asyncDispose]();
    for (const app of apps) await app[Symbol.asyncDispose]();
  });

  /** Node 0, or the last one. */
  async function client(node: 0 | -1, user = 'ada', device = 'tab'): Promise<StockClient> {
    const auth = { token: mintToken(user), rt: { v: 1, device } };
    const one = await connectedClient(`${apps.at(node)!.url}/orders`, { auth });
    clients.push(one);
    return one;
  }

  it('tells in hello how long requests are known', async () => {
    const { args } = await (await client(0)).inbox.next('realtime:hello');
    expect(args[0]).toMatchObject({ requestWindowMs: 300_000 });
  });

  it('runs one that reaches all nodes at once a single time, with one answer for everybody', async () => {
    const [first, second] = [await client(0), await client(-1)];
    let open: () => void = () => undefined;
    gate = new Promise((resolve) => (open = resolve));
    const id = newId();
    const asked = [first, second, first, second].map((one) => one.ask('order', { n: 1 }, envelope(id)));
    await eventually(() => expect(runsOf(id)).toBe(1));
    // Answered on the same connections: the duplicates have arrived, too.
    await Promise.all([first, second].map((one) => one.ask('large', 1)));
    open();
    const answers = await Promise.all(asked);
    expect(runs.filter((run) => run.id === id)).toEqual([{ id, attempt: 1, data: { n: 1 } }]);
    expect(answers[0]).toMatchObject({ id, body: { n: 1 } });
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });

  it('gives a repeat the record without running', async () => {
    const id = newId();
    const answer = await (await client(0)).ask('order', 1, envelope(id));
    expect(await (await client(-1)).ask('order', 1, envelope(id, 2))).toEqual(answer);
    expect(runsOf(id)).toBe(1);
  });

  it('repeats an error that is final', async () => {
    const id = newId();
    const answer = await (await client(0)).ask('conflict', 1, envelope(id));
    expect(answer).toMatchObject({ error: { code: 'CONFLICT', details: { sold: true } } });
    expect(await (await client(-1)).ask('conflict', 1, envelope(id, 2))).toEqual(answer);
    expect(runsOf(id)).toBe(1);
  });

  it('runs again after an error that may be tried again, and says which attempt it is', async () => {
    const id = newId();
    const one = await client(0);
    expect(await one.ask('flaky', 1, envelope(id))).toMatchObject({ error: { code: 'UNAVAILABLE' } });
    expect(await one.ask('flaky', 1, envelope(id))).toBe(2);
    expect(await (await client(-1)).ask('flaky', 1, envelope(id))).toBe(2);
    expect(runs.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  it.each([
    { what: 'is too large', event: 'large', data: 2_000 },
    { what: 'is binary', event: 'binary', data: 0 },
  ])('says of an answer that $what only that it happened', async ({ event, data }) => {
    const id = newId();
    expect(await (await client(0)).ask(event, data, envelope(id))).not.toHaveProperty('error');
    expect(await (await client(-1)).ask(event, data, envelope(id))).toMatchObject({
      error: { code: 'ALREADY_APPLIED', retryable: false },
    });
    expect(runsOf(id)).toBe(1);
  });

  it('runs the same id of another principal, or another device, for itself', async () => {
    const id = newId();
    const all = [await client(0), await client(-1, 'bob'), await client(-1, 'ada', 'phone')];
    const answers = await Promise.all(all.map((one, n) => one.ask('order', n, envelope(id))));
    expect(answers.map((answer) => (answer as { body: unknown }).body)).toEqual([0, 1, 2]);
    expect(runsOf(id)).toBe(3);
  });

  it('takes what is no envelope for the payload', async () => {
    const one = await client(0);
    const id = newId();
    const wrong = [
      { $rt: { id, attempt: 0 } },
      { $rt: { id, attempt: 1.5 } },
      { $rt: { id: 'short', attempt: 1 } },
      { $rt: { id: `${id}!`, attempt: 1 } },
      { $rt: { id } },
      { $rt: null },
      { $rt: [id, 1] },
      { $rt: { id, attempt: 1 }, more: 1 },
      [envelope(id)],
    ];
    for (const argument of wrong) await one.ask('order', 1, argument);
    expect(runs).toEqual(wrong.map((argument) => ({ id: undefined, attempt: undefined, data: [1, argument] })));
  });

  it('is no request without an ack, and none without an envelope', async () => {
    const one = await client(0);
    one.socket.emit('order', 1, envelope(newId()));
    await one.ask('order', 2);
    expect(runs).toEqual([1, 2].map((data) => ({ id: undefined, attempt: undefined, data })));
  });

  it('frees a request whose stream ended with its connection', async () => {
    const id = newId();
    const one = await client(0);
    one.socket.emit('endless', 1, envelope(id), () => undefined);
    await one.inbox.next('disconnect');
    expect(await (await client(-1)).ask('endless', 1, envelope(id, 2))).toBe('second');
  });

  it('publishes once for each call of the handler, also when it runs again', async () => {
    const room = `open/${newId()}`;
    const watcher = await client(-1, 'watcher');
    await watcher.ask('realtime:join', { room });
    const one = await client(0);
    const id = newId();
    expect(await one.ask('say', { room, fail: true }, envelope(id))).toMatchObject({ error: { code: 'UNAVAILABLE' } });
    const ids = await one.ask('say', { room, fail: true }, envelope(id));
    expect(await one.ask('say', { room, fail: true }, envelope(id))).toEqual(ids);
    expect(runsOf(id)).toBe(2);
    await apps[0]!.app.get(RoomManager).publish(room, 'said', 'fence');
    const heard = [1, 2, 3].map(() => watcher.inbox.next('said'));
    const [first, second, fence] = await Promise.all(heard);
    expect([first?.args[1], second?.args[1]]).toEqual((ids as string[]).map((one) => ({ room, id: one })));
    expect([first?.args[0], second?.args[0]]).toMatchObject([{ n: 1 }, { n: 2 }]);
    expect(fence?.args[0]).toBe('fence');
  });

  it('publishes what a client names once, for each client', async () => {
    const room = `open/${newId()}`;
    const watcher = await client(-1, 'watcher');
    await watcher.ask('realtime:join', { room });
    const [ada, again, bob] = [await client(0), await client(-1), await client(0, 'bob')];
    for (const one of [ada, again, bob]) await one.ask('realtime:join', { room });
    const publication = { room, event: 'named', data: { n: 1 }, id: 'mine' };
    expect(await ada.ask('realtime:publish', publication)).toEqual({ id: 'mine' });
    expect(await again.ask('realtime:publish', publication)).toEqual({ id: 'mine' });
    expect(await again.ask('realtime:publish', { ...publication, data: 'other' })).toMatchObject({
      error: { code: 'BAD_REQUEST' },
    });
    expect(await bob.ask('realtime:publish', { ...publication, data: 'of bob' })).toEqual({ id: 'mine' });
    const heard = await Promise.all([1, 2].map(() => watcher.inbox.next('named')));
    expect(heard.map(({ args }) => args[0])).toEqual([{ n: 1 }, 'of bob']);
    expect(watcher.inbox.unread.filter(({ event }) => event === 'named')).toEqual([]);
  });
});

describe('when a handler is slower than its deadline', () => {
  it('is not run again: the one that was answered TIMEOUT gets the answer at the next try', async () => {
    runs.length = 0;
    let open: () => void = () => undefined;
    gate = new Promise((resolve) => (open = resolve));
    const keyPrefix = `${randomBytes(6).toString('hex')}:`;
    const options = { handlerTimeoutMs: 200, redis: { url: redis.url, keyPrefix } };
    await using here = await bootOne(options);
    await using there = await bootOne(options);
    const auth = { token: mintToken('ada'), rt: { v: 1, device: 'tab' } };
    await using first = await connectedClient(`${here.url}/orders`, { auth });
    await using second = await connectedClient(`${there.url}/orders`, { auth });
    const id = newId();
    const timeout = { error: { code: 'TIMEOUT', retryable: true } };
    for (const one of [first, second, first]) expect(await one.ask('order', 1, envelope(id))).toMatchObject(timeout);
    open();
    // Late once more, on a machine that stood still, it is TIMEOUT again: each of them asks until it is not.
    const answerTo = (one: StockClient) =>
      eventually(async () => {
        const found = await one.ask('order', 1, envelope(id));
        expect(found).toMatchObject({ id });
        return found;
      });
    const answer = await answerTo(second);
    expect(await answerTo(first)).toEqual(answer);
    expect(runs).toEqual([{ id, attempt: 1, data: 1 }]);
  });
});

describe('when requests are off', () => {
  it('runs every repeat, and says so in hello', async () => {
    runs.length = 0;
    await using app = await bootOne({ requests: { windowMs: 0 } });
    const auth = { token: mintToken('ada'), rt: { v: 1, device: 'tab' } };
    await using one = await connectedClient(`${app.url}/orders`, { auth });
    expect((await one.inbox.next('realtime:hello')).args[0]).toMatchObject({ requestWindowMs: 0 });
    const id = newId();
    for (const n of [1, 2]) await one.ask('order', n, envelope(id));
    expect(runs).toEqual([1, 2].map((data) => ({ id: undefined, attempt: undefined, data })));
  });
});

describe('when Redis is away', () => {
  it('refuses requests, and runs them when it is back', async () => {
    runs.length = 0;
    await using own = await startRedis();
    await using app = await bootOne({
      // Below the handler's own deadline, and above what a machine that stands still takes of it.
      redis: { url: own.url, commandTimeoutMs: 6_000 },
      cluster: { leaseMs: 60_000, renewMs: 300, watchMs: 100 },
    });
    const auth = { token: mintToken('ada'), rt: { v: 1, device: 'tab' } };
    await using one = await connectedClient(`${app.url}/orders`, { auth });
    await own.stop();
    const id = newId();
    expect(await one.ask('order', 1, envelope(id))).toMatchObject({ error: { code: 'UNAVAILABLE', retryable: true } });
    expect(await one.ask('order', 1)).toMatchObject({ body: 1 });
    await own.restart();
    await eventually(async () => expect(await one.ask('order', 1, envelope(id))).toMatchObject({ id }));
    expect(runs.filter((run) => run.id === id)).toMatchObject([{ attempt: 1 }]);
  });
});
