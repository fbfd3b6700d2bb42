import { WebSocketGateway } from '@nestjs/websockets';
import { RoomManager, RoomPolicy, type CanJoin, type RealtimeOptions } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../support/app.js';
import { GENEROUS_MS, eventually } from '../support/eventually.js';
import { connectedClient } from '../support/inbox.js';
import { LeapingClock } from '../support/leaping-clock.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { mintToken } from '../support/tokens.js';

@RoomPolicy('log/:id', { history: { size: 1_000, ttlMs: 600_000 } })
class LogPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway()
class Gateway {}

/** Longer than any machine stands still: these pass only when the test leaps over them. */
const TIMES = {
  probeIntervalMs: 5_000,
  probeTimeoutMs: GENEROUS_MS,
  commandTimeoutMs: GENEROUS_MS,
  connectTimeoutMs: GENEROUS_MS,
};
const PUBLISH_TIMEOUT_MS = 3 * GENEROUS_MS;
const MAX_MESSAGE_BYTES = 20_000;

describe('publications with history while Redis is in trouble', () => {
  let redis: TestRedis;
  let proxy: TcpProxy;
  let node: TestApp;
  let rooms: RoomManager;
  let clock: LeapingClock;
  let count = 0;
  let room: string;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis[Symbol.asyncDispose]());

  beforeEach(async () => {
    room = `log/${(count += 1)}`;
    proxy = await startTcpProxy({ port: redis.port });
    const realtime: Partial<RealtimeOptions> = {
      redis: { url: `redis://127.0.0.1:${proxy.port}`, ...TIMES, maxMessageBytes: MAX_MESSAGE_BYTES },
      rooms: { publishTimeoutMs: PUBLISH_TIMEOUT_MS },
    };
    clock = new LeapingClock();
    node = await bootApp({ providers: [LogPolicy, Gateway], realtime, clock });
    rooms = node.app.get(RoomManager);
    // The scripts are known from here on, and the log's epoch.
    await rooms.publish(room, 'n', 'first');
  });

  afterEach(async () => {
    proxy.heal();
    await node[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
    clock[Symbol.dispose]();
  });

  /** The product's time passes until a call is over, a probe's interval at a time; resolves with how much. */
  async function passes(call: Promise<unknown>): Promise<number> {
    const startedAt = clock.now();
    let isOver = false;
    const done = (): boolean => (isOver = true);
    call.then(done, done);
    await eventually(() => {
      if (!isOver) clock.leap(TIMES.probeIntervalMs);
      expect(isOver).toBe(true);
    });
    return clock.now() - startedAt;
  }

  const log = async (): Promise<unknown[]> => {
    const { publications } = await rooms.history(room, { limit: 1_000 });
    return publications.map(({ data }) => data);
  };

  it('writes each once and in the order of the calls, over connections that break again and again', async () => {
    const replies: Promise<{ offset?: number }>[] = [];
    for (let n = 0; n < 400; n += 1) {
      replies.push(rooms.publish(room, 'n', n));
      if (n % 100 === 50) proxy.cut();
      if (n % 100 === 60) proxy.heal();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const offsets = (await Promise.all(replies)).map(({ offset }) => offset);
    expect(offsets).toEqual(Array.from({ length: 400 }, (_, index) => index + 2));
    expect(await log()).toEqual(['first', ...Array.from({ length: 400 }, (_, index) => index)]);
  });

  it('says of each whether it may have been written, when the time is over, and goes on when Redis is back', async () => {
    const outcomes: Record<string, string> = {};
    const publish = (name: string) =>
      rooms.publish(room, 'n', name).then(
        () => void (outcomes[name] = 'written'),
        ({ code, retryable }: { code: string; retryable: boolean }) => void (outcomes[name] = `${code} ${retryable}`),
      );
    proxy.stall();
    const tookMs = await passes(Promise.all([publish('sent'), publish('behind')]));
    // By now it is known that nobody answers: what comes is not sent at all.
    const neverMs = await passes(publish('never'));
    expect(outcomes).toEqual({ sent: 'UNKNOWN false', behind: 'UNKNOWN false', never: 'UNAVAILABLE true' });
    for (const ms of [tookMs, neverMs])
      expect(ms).toBeLessThanOrEqual(PUBLISH_TIMEOUT_MS + TIMES.commandTimeoutMs + 2 * TIMES.probeIntervalMs);
    proxy.heal();
    await eventually(() => publish('after').then(() => expect(outcomes['after']).toBe('written')));
    const written = await log();
    expect(written.at(-1)).toBe('after');
    expect(written).not.toContain('never');
  });

  it('waits out a Redis that has no memory left, and says UNAVAILABLE when it takes too long', async () => {
    const client = await redis.client();
    await client.configSet('maxmemory', '1');
    const late = rooms.publish(room, 'n', 'late');
    const refused = expect(late).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    await passes(refused);
    await refused;
    const patient = rooms.publish(room, 'n', 'patient');
    const behind = rooms.publish(room, 'n', 'behind');
    await client.configSet('maxmemory', '0');
    expect(await Promise.all([patient, behind])).toMatchObject([{ offset: 2 }, { offset: 3 }]);
    expect(await log()).toEqual(['first', 'patient', 'behind']);
  });

  it('delivers the longest text that it takes', async () => {
    await using ada = await connectedClient(node.url, { auth: { token: mintToken('ada') } });
    await ada.ask('realtime:join', { room });
    const data = 'x'.repeat(MAX_MESSAGE_BYTES - `{}\n"n","",{"room":"${room}","id":"x"`.length);
    await rooms.publish(room, 'n', data, { id: 'x' });
    expect((await ada.inbox.next('n')).args).toEqual([data, expect.objectContaining({ room, offset: 2 })]);
    const longer = rooms.publish(room, 'n', `${data}x`, { id: 'x' });
    await expect(longer).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', retryable: false });
  });

  it('leaves no rejection without a handler behind when the node ends meanwhile', async () => {
    proxy.cut();
    const pending = rooms.publish(room, 'n', 'pending').catch(({ code }: { code: string }) => code);
    await node.app.close();
    expect(await pending).toMatch(/^UN(KNOWN|AVAILABLE)$/);
  });
});
