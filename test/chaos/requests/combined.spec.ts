import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { KILL_POINTS, type KillPoint } from '../../apps/requests.gateway.js';
import { bootCluster, type Cluster, type ClusterNode } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { connectedClient, type StockClient } from '../../support/inbox.js';
import { lasting } from '../../support/lasting.js';
import { startRedis, type TestRedis, type TestRedisClient } from '../../support/redis.js';
import { IS_FULL } from '../../support/scale.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { mintToken } from '../../support/tokens.js';
import {
  violations,
  type HandlerRun,
  type HeardPublication,
  type History,
  type NodeKill,
  type NodeLoss,
} from './history.js';
import { Lives } from './lives.js';
import { between, seeded, shuffled } from './random.js';
import { Sender } from './sender.js';
import { FAULTS, Weather } from './weather.js';

const SEEDS = process.env['REALTIME_SEED']
  ? [Number(process.env['REALTIME_SEED'])]
  : Array.from({ length: IS_FULL ? 20 : 1 }, (_, index) => index + 1);
/** In CI fewer, so that one run stays below a minute on two cores. */
const { CLIENTS, REQUESTS, ROUND_MS } = IS_FULL
  ? { CLIENTS: 100, REQUESTS: 50, ROUND_MS: 8_000 }
  : { CLIENTS: 30, REQUESTS: 20, ROUND_MS: 3_000 };
const PROXIES = 4;
const LANES = 2;
/** Short, because each kill waits for it. A node that stands still for longer loses it too: see `Lives`. */
const LEASE = { leaseMs: 3_000, renewMs: 1_000, watchMs: 300 };
/** So short that clients find out about some stalled links by themselves. */
const HEARTBEAT = { intervalMs: 1_000, timeoutMs: 1_500 };

if (IS_FULL) jest.setTimeout(400_000);

describe('when links fail and nodes are killed while clients send requests', () => {
  let redis: TestRedis;
  let ledger: TestRedisClient;
  let cluster: Cluster;
  /** Serves only who watches the room, and lives through everything: no link of its own is bad, so its heartbeat is patient. */
  let witness: ClusterNode;
  let workers: ClusterNode[];
  let lives: Lives;
  let turn = 0;
  const proxies: TcpProxy[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    ledger = await redis.client();
    const keyPrefix = `${randomBytes(6).toString('hex')}:`;
    lives = new Lives(ledger, keyPrefix);
    cluster = await bootCluster(1, { redisUrl: redis.url, keyPrefix, options: { cluster: LEASE } });
    [witness] = cluster.nodes as [ClusterNode];
    workers = await Promise.all([newWorker(), newWorker()]);
    // As a load balancer: each connection goes to the next node that lives.
    const balancer = {
      get port(): number {
        const alive = workers.filter((node) => node.isRunning);
        return Number(new URL((alive[(turn += 1) % alive.length] ?? witness).url).port);
      },
    };
    for (let index = 0; index < PROXIES; index += 1) proxies.push(await startTcpProxy(balancer));
  });

  afterAll(async () => {
    try {
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    } finally {
      await redis[Symbol.asyncDispose]();
    }
  });

  function newWorker(): Promise<ClusterNode> {
    return cluster.add({ heartbeat: HEARTBEAT });
  }

  /** Each sender sends its next requests at seeded times; one of them kills its node. Ends when all are settled. */
  async function round(run: Run, index: number, point: KillPoint): Promise<void> {
    const { senders, random, common, weathers } = run;
    const [first, end] = [index, index + 1].map((part) => Math.round((part * REQUESTS) / KILL_POINTS.length));
    const killer = `${between(0, CLIENTS, random)} ${between(first!, Math.ceil((first! + end!) / 2), random)}`;
    const sending = senders.flatMap((sender, user) =>
      Array.from({ length: end! - first! }, (_, offset) => {
        const n = first! + offset;
        const kill = killer === `${user} ${n}` ? point : undefined;
        const request = { ...common, n, lane: `${sender.user}/${n % LANES}`, kill };
        const fromMs = (offset * ROUND_MS) / (end! - first!);
        return lasting(between(fromMs, fromMs + ROUND_MS / (end! - first!), random)).then(() => sender.send(request));
      }),
    );
    // At full length over all of them, in CI over one half and then the other: the backoff of each gets time to fall.
    const bad = weathers.filter((_, proxy) => IS_FULL || proxy % 2 === index % 2);
    const blowing = bad.map((weather) => weather.blow(ROUND_MS));
    run.until.push(await replaceKilled());
    run.lapses.push(...(await lives.lapses(workers)));
    await Promise.all(blowing);
    // A backoff after many failures is up to 20 s, of which one round after the other would wait for the longest.
    if (!IS_FULL) for (const sender of senders) sender.hurry();
    let open = sending.length;
    for (const one of sending) void one.then(() => (open -= 1));
    await eventually(() => {
      const waiting = senders.flatMap((sender) => sender.waiting);
      if (open > 0) throw new Error(`${open} are not settled: ${waiting.join(', ')}`);
    });
    run.lapses.push(...(await lives.lapses(workers)));
  }

  /** The killed worker makes room for a new one. Resolves with when its end was seen. */
  async function replaceKilled(): Promise<number> {
    const killed = await eventually(() => {
      const found = workers.find((node) => !node.isRunning);
      if (!found) throw new Error('no worker was killed');
      return found;
    });
    const at = Date.now();
    await killed.kill();
    workers = [...workers.filter((node) => node !== killed), await newWorker()];
    return at;
  }

  async function historyOf({ senders, common, until, lapses }: Run, watcher: StockClient): Promise<History> {
    await witness.call('publish', common.room, 'applied', { request: 'fence' });
    await watcher.inbox.next(({ args }) => (args[0] as { request?: string } | undefined)?.request === 'fence');
    const published = watcher.inbox.all.filter(({ event }) => event === 'applied').slice(0, -1);
    const kills = await ledger.lRange(`${common.ledger}:kills`, 0, -1);
    return {
      asked: senders.flatMap(({ asked }) => asked),
      sent: senders.flatMap(({ sent }) => sent),
      runs: (await ledger.lRange(`${common.ledger}:runs`, 0, -1)).map(readRun),
      heard: published.map(({ args }) => {
        const [{ request, n, lane }, { id }] = args as [{ request: string; n: number; lane: string }, { id?: string }];
        return { request, n, lane, publication: id } satisfies HeardPublication;
      }),
      kills: kills.map((kill, index) => readKill(kill, until[index] ?? 0)),
      lapses,
    };
  }

  it.each(SEEDS)('settles each once, in order, and publishes each once (REALTIME_SEED=%i)', async (seed) => {
    const random = seeded(seed);
    const common = { ledger: `combined:${seed}:${randomBytes(4).toString('hex')}`, room: `chat/combined-${seed}` };
    const auth = { token: mintToken('witness') };
    await using watcher = await connectedClient(`${witness.url}/requests`, { auth });
    await watcher.ask('realtime:join', { room: common.room });
    // Numbers of their own: what one draws must not depend on how fast the others are.
    const weathers = proxies.map((proxy, index) => new Weather(proxy, seeded(seed * 1_000 + index)));
    const senders = Array.from({ length: CLIENTS }, (_, user) => {
      const { port } = proxies[user % PROXIES]!;
      return new Sender(`http://127.0.0.1:${port}`, `user-${user}`);
    });
    const run: Run = { senders, random, common, weathers, until: [], lapses: [] };
    try {
      await lives.lapses(workers);
      for (const [index, point] of shuffled(KILL_POINTS, random).entries()) await round(run, index, point);
      const history = await historyOf(run, watcher);
      console.info(summaryOf(seed, run, history));
      expect(history.asked).toHaveLength(CLIENTS * REQUESTS);
      expect(await ledger.hGetAll(`${common.ledger}:hits`)).toEqual({ claim: '1', effect: '1', record: '1', ack: '1' });
      for (const fault of FAULTS) expect(weathers.some(({ seen }) => seen[fault] > 0)).toBe(true);
      expect(senders.reduce((sum, { resent }) => sum + resent, 0)).toBeGreaterThan(0);
      expect(violations(history)).toEqual([]);
      expect(history.heard).toHaveLength(CLIENTS * REQUESTS);
    } catch (error) {
      const full = IS_FULL ? 'REALTIME_FULL=1 ' : '';
      console.error(`Replay: REALTIME_SEED=${seed} ${full}npm test -- test/chaos/requests/combined.spec.ts`);
      throw error;
    } finally {
      for (const sender of senders) sender[Symbol.dispose]();
    }
  });
});

interface Run {
  readonly senders: readonly Sender[];
  readonly random: () => number;
  readonly common: { readonly ledger: string; readonly room: string };
  readonly weathers: readonly Weather[];
  /** When each kill was seen. */
  readonly until: number[];
  readonly lapses: NodeLoss[];
}

function readRun(text: string): HandlerRun {
  const [id = '', attempt, n, lane = ''] = text.split(' ');
  return { id, attempt: Number(attempt), n: Number(n), lane };
}

function readKill(text: string, until: number): NodeKill {
  const [point = '', node = '', from] = text.split(' ');
  return { point, node, from: Number(from), until };
}

/** What the run was like: a run in which nothing went wrong proves nothing. */
function summaryOf(seed: number, { senders, weathers }: Run, { sent, runs, kills, lapses }: History): string {
  const faults = (kind: (typeof FAULTS)[number]): number => weathers.reduce((sum, { seen }) => sum + seen[kind], 0);
  const codes = sent.flatMap(({ ends }) => ends.map(({ code }) => code ?? 'answer'));
  const counts = Object.fromEntries(
    [...new Set(codes)].map((code) => [code, codes.filter((one) => one === code).length]),
  );
  const longest = Math.max(...sent.map(({ tries, ends }) => (ends[0]?.at ?? 0) - (tries[0]?.at ?? 0)));
  return [
    `seed ${seed}: ${CLIENTS} clients x ${REQUESTS} requests, ended as ${JSON.stringify(counts)}`,
    `kills ${kills.map(({ point, node }) => `${point} of ${node}`).join(', ')}`,
    `leases lost ${lapses.length}`,
    `cuts ${faults('cut')}, stalls ${faults('stall')}, delays ${faults('delay')}`,
    `connections lost ${senders.reduce((sum, { states }) => sum + states.filter((state) => state === 'waiting').length, 0)}`,
    `sent again ${senders.reduce((sum, { resent }) => sum + resent, 0)}`,
    `runs as attempt 2: ${runs.filter(({ attempt }) => attempt === 2).length}`,
    `slowest ${longest} ms`,
  ].join('; ');
}
