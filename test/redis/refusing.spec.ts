import { Logger } from '@nestjs/common';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RoomManager } from 'nestjs-realtime';
import { HEALTH_SOURCE, type HealthSource } from 'nestjs-realtime/health';
import { LogCapture } from '../e2e/bad-input/hostile-app.js';
import { bootApp, type TestApp } from '../support/app.js';
import type { RedisOptions } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { connectedClient } from '../support/inbox.js';
import { startRedis, type TestRedis, type TestRedisClient } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway()
class PlainGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

interface Refusal {
  readonly what: string;
  /** Makes the server refuse. */
  begin(admin: TestRedisClient, replicaOf: number): Promise<unknown>;
  /** Makes it serve. */
  end(admin: TestRedisClient): Promise<unknown>;
  readonly words: RegExp;
  readonly mend: string;
}

const user =
  (...rules: string[]) =>
  (admin: TestRedisClient): Promise<unknown> =>
    admin.sendCommand(['ACL', 'SETUSER', 'app', 'reset', 'on', '>pw', '~*', ...rules]);
const everything = user('&*', '+@all');

const refusals: Refusal[] = [
  {
    what: 'is full',
    async begin(admin) {
      await everything(admin);
      await admin.set('filler', 'x'.repeat(100_000));
      await admin.sendCommand(['CONFIG', 'SET', 'maxmemory', '1']);
    },
    end: (admin) => admin.sendCommand(['CONFIG', 'SET', 'maxmemory', '0']),
    words: /\(OOM /,
    mend: 'raise maxmemory',
  },
  {
    what: 'is a replica',
    async begin(admin, master) {
      await everything(admin);
      await admin.sendCommand(['REPLICAOF', '127.0.0.1', String(master)]);
    },
    end: (admin) => admin.sendCommand(['REPLICAOF', 'NO', 'ONE']),
    words: /\(READONLY /,
    mend: 'give the address of the master',
  },
  {
    what: 'forbids scripts',
    begin: user('&*', '+@all', '-eval', '-evalsha'),
    end: everything,
    words: /\(NOPERM /,
    mend: 'guide',
  },
  {
    what: 'forbids channels',
    begin: user('+@all', 'resetchannels'),
    end: everything,
    words: /\(NOPERM /,
    mend: 'guide',
  },
];

describe('when Redis answers, but refuses', () => {
  let redis: TestRedis;
  let master: TestRedis;
  let admin: TestRedisClient;
  let log: LogCapture;

  beforeEach(async () => {
    [redis, master] = await Promise.all([startRedis({ args: ['--maxmemory-policy', 'noeviction'] }), startRedis()]);
    admin = await redis.client();
    log = new LogCapture();
    Logger.overrideLogger(log);
  });

  afterEach(async () => {
    Logger.overrideLogger(false);
    await redis[Symbol.asyncDispose]();
    await master[Symbol.asyncDispose]();
  });

  const boot = (options: RedisOptions = {}): Promise<TestApp> => {
    const server = { url: redis.url, username: 'app', password: 'pw', connectTimeoutMs: 200, ...options };
    return bootApp({ providers: [PlainGateway], logger: 'log', realtime: { redis: server } });
  };
  const stateOf = ({ app }: TestApp): string => app.get<HealthSource>(HEALTH_SOURCE, { strict: false }).redis.state;

  it.each(refusals)(
    'because it $what, boots degraded, says why and what to do, and is whole when it may be',
    async (one) => {
      await one.begin(admin, master.port);
      await using app = await boot();
      await using ada = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
      expect(await ada.ask('ping')).toBe('pong');
      expect(stateOf(app)).toBe('degraded');
      const lines = log.drain().filter((line) => line.includes('answers, but refuses'));
      expect(lines).toEqual([expect.stringMatching(one.words)]);
      expect(lines[0]).toContain(one.mend);
      await one.end(admin);
      await eventually(() => expect(stateOf(app)).toBe('up'));
      await eventually(() => expect(log.drain().join('\n')).toContain('refuses nothing any more'));
      await app.app.get(RoomManager).kick('room', { userId: 'nobody' });
    },
  );

  it('fails boot where it is required', async () => {
    await user('&*', '+@all', '-eval', '-evalsha')(admin);
    const failed = boot({ required: true, connectTimeoutMs: 5_000 }).then(
      () => 'booted',
      (error: unknown) => String(error),
    );
    expect(await failed).toMatch(/answers, but refuses what a node needs \(NOPERM [^]*To mend it: /);
  });

  it('says so when the rules of its user are changed later', async () => {
    await everything(admin);
    await using app = await boot({ connectTimeoutMs: 60_000 });
    expect(log.drain().join()).not.toContain('refuses');
    await user('&*', '+@all', '-eval', '-evalsha')(admin);
    const kicked = app.app.get(RoomManager).kick('room', { userId: 'nobody' });
    await expect(kicked).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(log.drain().filter((line) => line.includes('refuses'))).toEqual([expect.stringMatching(/NOPERM/)]);
  });

  it('boots whole where INFO alone is forbidden, and says what that costs', async () => {
    await user('&*', '+@all', '-info')(admin);
    await using app = await boot({ required: true, connectTimeoutMs: 60_000 });
    expect(stateOf(app)).toBe('up');
    await app.app.get(RoomManager).kick('room', { userId: 'nobody' });
    await eventually(() => expect(log.drain().join('\n')).toMatch(/failovers are not noticed; allow \+info/));
  });
});
