import { once } from 'node:events';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { eventually } from '../support/eventually.js';
import { connectedClient, type ClientOptions, type Received, type StockClient } from '../support/inbox.js';
import { ManyCores, type ManyCoresOptions } from '../support/many-cores.js';
import { freePort } from '../support/free-port.js';
import { sharedRedis, type SharedRedis } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';

/** The node of a connection: `worker-<pid>`. */
interface Member extends StockClient {
  readonly pid: number;
}

let redis: SharedRedis;
const open = new Set<StockClient>();
beforeAll(async () => void (redis = await sharedRedis()));
afterEach(() => {
  for (const { socket } of open) socket.close();
  open.clear();
});
afterAll(() => redis[Symbol.asyncDispose]());

async function boot(options: ManyCoresOptions = {}): Promise<ManyCores & { url: string }> {
  const port = options.cluster?.sticky ? 0 : await freePort();
  const cores = ManyCores.app({
    ...options,
    cluster: { port, ...options.cluster },
    realtime: { redis: { url: redis.url, keyPrefix: redis.prefix }, ...options.realtime },
  });
  const [bound] = await cores.says(/on port (\d+)/);
  return Object.assign(cores, { url: `http://127.0.0.1:${bound}/chat` });
}

async function connect(url: string, user: string, options: ClientOptions = {}): Promise<Member> {
  const client = await connectedClient(url, { auth: { token: mintToken(user) }, ...options });
  open.add(client);
  return Object.assign(client, { pid: await workerOf(client) });
}

async function workerOf({ inbox }: StockClient): Promise<number> {
  const { args } = await inbox.next('realtime:hello');
  return Number(/^worker-(\d+)$/.exec((args[0] as { node: string }).node)?.[1]);
}

/** Connects users until each worker has one; node:cluster takes turns. */
async function onEach(url: string, pids: readonly number[], options: ClientOptions = {}): Promise<Member[]> {
  const members: Member[] = [];
  while (!pids.every((pid) => members.some((member) => member.pid === pid))) {
    members.push(await connect(url, `user-${members.length + 1}`, options));
    if (members.length > 20)
      throw new Error(
        `20 connections to ${members.map(({ pid }) => pid).join(', ')}, but none to one of ${pids.join(', ')}`,
      );
  }
  return members;
}

const join = (client: StockClient, room: string) => client.ask('realtime:join', { room });
const say = (client: StockClient, room: string, text: string) => client.ask('message.send', { room, text });
const text = (expected: string) => (received: Received) =>
  received.event === 'message' && (received.args[0] as { text: string }).text === expected;

describe('when two workers share a port', () => {
  it('is one cluster, which survives the death of a worker and ends as one', async () => {
    await using cores = await boot({ cluster: { port: await freePort(), restart: { minDelayMs: 10 } } });
    const pids = await cores.workers(2);
    const members = await onEach(cores.url, pids, { reconnection: true, reconnectionDelay: 20 });
    for (const member of members) await join(member, 'chat/1');

    // One room over both.
    const [first, second] = pids.map((pid) => members.find((member) => member.pid === pid)) as [Member, Member];
    await say(first, 'chat/1', 'to all');
    await Promise.all(members.map(({ inbox }) => inbox.next(text('to all'))));
    await eventually(async () => {
      const { users } = (await second.ask('realtime:presence', { room: 'chat/1' })) as { users: { id: string }[] };
      expect(users.map(({ id }) => id).sort()).toEqual(members.map((_, index) => `user-${index + 1}`).sort());
    });

    // One dies: who was on it comes back, the others hear nothing of it.
    process.kill(first.pid, 'SIGKILL');
    expect((await first.inbox.next('disconnect')).args[0]).toMatch(/transport/);
    await first.inbox.next('connect');
    const [index] = await cores.says(/worker (\d) \(\d+\) ended: SIGKILL; another one starts in \d+ ms/);
    const [successor] = await cores.workers(1);
    expect(pids).not.toContain(successor);
    expect(cores.output).toContain(`worker ${index} (${successor}) serves`);
    await join(first, 'chat/1');
    await say(first, 'chat/1', 'back');
    await second.inbox.next(text('back'));
    expect(second.inbox.all.filter(({ event }) => event === 'disconnect')).toEqual([]);
    const newcomers = await onEach(cores.url, [successor ?? 0, second.pid]);

    // One signal ends all; every client is told.
    cores.signal('SIGTERM');
    await Promise.all([first, second, ...newcomers].map(({ inbox }) => inbox.next('realtime:drain')));
    expect(await cores.exited).toBe(0);
    await cores.gone;
    expect(cores.output).toMatch(/RealtimeCluster: ends[^]*worker \d \(\d+\) ended: SIGTERM[^]*ended: SIGTERM$/);
  });

  it('drains and ends workers whose primary was killed', async () => {
    await using cores = await boot();
    const members = await onEach(cores.url, await cores.workers(2));
    cores.signal('SIGKILL');
    await Promise.all(members.map(({ inbox }) => inbox.next('realtime:drain')));
    await cores.gone;
    expect(await cores.exited).toBe('SIGKILL');
  });

  it('kills workers that do not end in time', async () => {
    await using cores = await boot({
      cluster: { port: 0, workers: 1, shutdownTimeoutMs: 200 },
      mishap: 'hangs at the end',
    });
    await cores.workers(1);
    cores.signal('SIGINT');
    await cores.says(/killed, because they did not end within 200 ms: worker 1 \(\d+\)/);
    expect(await cores.exited).toBe(0);
  });
});

describe('when clients poll', () => {
  it('keeps each session on its worker, whether it goes on polling or not', async () => {
    await using cores = await boot({
      cluster: { port: 0, sticky: true },
      realtime: {
        transports: ['polling', 'websocket'],
        redis: { url: redis.url, keyPrefix: `${redis.prefix}sticky:` },
      },
    });
    const pids = await cores.workers(2);
    const polling = await onEach(cores.url, pids, { transports: ['polling'] });
    const upgrading = await onEach(cores.url, pids, { transports: ['polling', 'websocket'] });
    const members = [...polling, ...upgrading];
    for (const member of members) await join(member, 'chat/1');
    // Each is a request of its own until the upgrade; in the end larger than what arrives with a request's head.
    for (let round = 0; round < 15; round += 1) {
      const sent = { round, filler: 'ä'.repeat(round * 1_000) };
      const echoed = await Promise.all(members.map((member) => member.ask('echo', sent)));
      expect(echoed).toEqual(members.map(() => sent));
    }
    await say(members[0] as Member, 'chat/1', 'to all');
    await Promise.all(members.map(({ inbox }) => inbox.next(text('to all'))));
    const transports = (of: readonly Member[]) => new Set(of.map(({ socket }) => socket.io.engine.transport.name));
    expect([...transports(polling), ...transports(upgrading)]).toEqual(['polling', 'websocket']);
    const trouble = members.flatMap(({ inbox }) => inbox.all.filter(({ event }) => /disconnect|error/.test(event)));
    expect(trouble).toEqual([]);

    // The trials at boot of workers that start at the same time do not meet.
    expect(cores.output).not.toContain('Switched off');

    cores.signal('SIGTERM');
    // Who is between two polls hears it from its next one.
    const ends = /^(realtime:drain|disconnect)$/;
    await Promise.all(polling.map(({ inbox }) => inbox.next(({ event }) => ends.test(event))));
    await Promise.all(upgrading.map(({ inbox }) => inbox.next('realtime:drain')));
    expect(await cores.exited).toBe(0);
  });

  it('sends nobody to a worker that is still starting', async () => {
    await using cores = await boot({
      cluster: { port: 0, sticky: true, restart: { minDelayMs: 1, maxDelayMs: 2 } },
      realtime: { transports: ['polling'], redis: { url: redis.url, keyPrefix: `${redis.prefix}starting:` } },
    });
    const pids = await cores.workers(2);
    process.kill(pids[0] as number, 'SIGKILL');
    await cores.says(/another one starts in \d ms/);
    // One stays, so that the new worker has the fewest clients. Then one after the other, all the time that it takes to
    // start: whoever is sent there too early hangs.
    await connect(cores.url, 'bob', { transports: ['polling'] });
    const reached = new Set<number>();
    while ([...reached].every((pid) => pids.includes(pid))) {
      const client = await connect(cores.url, 'ada', { transports: ['polling'] });
      reached.add(client.pid);
      client.socket.close();
    }
    const [successor] = await cores.workers(1);
    expect([...reached]).toEqual([pids[1], successor]);
  });

  it('ends while clients still hold connections that no worker will answer', async () => {
    await using cores = await boot({
      cluster: { port: 0, workers: 1, sticky: true },
      realtime: { transports: ['polling'], redis: { url: redis.url, keyPrefix: `${redis.prefix}held:` } },
    });
    await cores.workers(1);
    const { port, host, origin } = new URL(cores.url);
    const held = ['', `POST /chat HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 9\r\n\r\n`].map((sent) => {
      const client = connectTcp(Number(port), '127.0.0.1')
        .on('error', () => undefined)
        .resume();
      if (sent) client.write(sent);
      return { client, closed: new Promise((resolve) => client.once('close', resolve)) };
    });
    await Promise.all(held.map(({ client }) => once(client, 'connect')));
    // Connections are taken in their order: this one is answered after the primary has both.
    expect((await fetch(`${origin}/socket.io/?EIO=4&transport=polling`)).status).toBe(200);
    cores.signal('SIGTERM');
    expect(await cores.exited).toBe(0);
    expect(cores.output).toMatch(/worker 1 \(\d+\) ended: SIGTERM/);
    await Promise.all(held.map(({ closed }) => closed));
  });

  it('answers 503 while no worker serves', async () => {
    await using cores = ManyCores.app({ cluster: { port: 0, workers: 1, sticky: true }, mishap: 'throws at boot' });
    const [port] = await cores.says(/on port (\d+), sticky/);
    expect((await fetch(`http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling`)).status).toBe(503);
  });

  it('has a port that others cannot take', async () => {
    await using taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    await using cores = ManyCores.app({ cluster: { port, sticky: true }, realtime: { transports: ['polling'] } });
    await cores.says(/EADDRINUSE/);
    expect(await cores.exited).toBe(1);
  });
});

describe('when the workers cannot work', () => {
  const DIES_AT_BOOT = /worker 1 \(\d+\) ended with code 1 before it served; another one starts in (\d+) ms/;

  it('starts them with growing waits, and names the option that is missing', async () => {
    const restart = { minDelayMs: 10, maxDelayMs: 10_000 };
    await using cores = ManyCores.app({
      cluster: { port: 0, workers: 2, restart },
      realtime: { redis: false, transports: ['polling'] },
    });
    await cores.says(/- redis: is needed, or the 2 workers of RealtimeCluster/);
    await cores.says(/- transports: 'polling' needs `RealtimeCluster.run\({ sticky: true }\)`/);
    // By its own figures. The n-th wait is drawn up to 2^n times the least one: none above four times ever comes without
    // growth, and with it hardly any worker dies twelve times before one.
    const waits: number[] = [];
    do {
      const [wait] = await cores.says(DIES_AT_BOOT);
      waits.push(Number(wait));
      expect(Number(wait)).toBeGreaterThanOrEqual(restart.minDelayMs);
      expect(Number(wait)).toBeLessThanOrEqual(restart.minDelayMs * 2 ** waits.length);
    } while (Math.max(...waits) <= 4 * restart.minDelayMs && waits.length < 12);
    expect(Math.max(...waits)).toBeGreaterThan(4 * restart.minDelayMs);
  });

  it('waits longer after each death at boot, between the bounds', async () => {
    await using cores = ManyCores.app({
      cluster: { port: 0, workers: 1, restart: { minDelayMs: 20, maxDelayMs: 60 } },
      realtime: { redis: false },
      mishap: 'throws at boot',
    });
    for (const longest of [40, 60, 60]) {
      await cores.says(/Error: no database/);
      const [delayMs] = await cores.says(/ended with code 1 before it served; another one starts in (\d+) ms/);
      expect(Number(delayMs)).toBeGreaterThanOrEqual(20);
      expect(Number(delayMs)).toBeLessThanOrEqual(longest);
    }
    cores.signal('SIGTERM');
    expect(await cores.exited).toBe(0);
  });

  it('says what a start() forgot, and that one process runs one app', async () => {
    await using forgetful = ManyCores.app({
      cluster: { port: 0, workers: 1, restart: { minDelayMs: 30_000 } },
      mishap: 'forgets to listen',
    });
    await forgetful.says(/start\(\) has not called listen\(app\)/);
    await using twice = ManyCores.app({ cluster: { port: 0, workers: 1 }, mishap: 'runs twice' });
    await twice.says(/RealtimeCluster.run\(\) was called already in this process/);
    expect(await twice.exited).toBe(1);
  });
});
