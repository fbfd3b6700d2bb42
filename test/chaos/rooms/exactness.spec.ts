import { randomBytes } from 'node:crypto';
import { BRIEF_SIZE } from '../../apps/history.policies.js';
import { bootCluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { startRedis } from '../../support/redis.js';
import { IS_FULL } from '../../support/scale.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { seeded, shuffled } from '../requests/random.js';
import { FAULTS, Faults, type World } from './faults.js';
import { Crowd } from './crowd.js';

import { LogReader } from './log-reader.js';
import { behind, type Member } from './member.js';
import { Publishers } from './publishers.js';
import { describeRoom, violations, type HeardEvent, type RoomHistory, type SentPublication } from './room-history.js';

const SEEDS = process.env['REALTIME_SEED']
  ? [Number(process.env['REALTIME_SEED'])]
  : Array.from({ length: IS_FULL ? 30 : 2 }, (_, index) => index + 1);
const STORM_MS = IS_FULL ? 18_000 : 8_000;
const NODES = 3;
const CLIENTS = 200;
const ROOMS_OF_A_CLIENT = 3;
const EXACT_ROOMS = 16;
const BRIEF_ROOMS = 4;
const PROXIES = 4;
/** Some seven to each brief room in a second: it has forgotten who is away for two. */
const PUBLISH_EVERY_MS = 16;
/** Centrifugo's and ours (design §9). */
const MAX_RECOVERED = 300;
/** So many publications at least, and each of these kinds of events: a storm in which nothing happened proves nothing. */
const ENOUGH_SENT = 200;
const KINDS = ['message', 'recovered', 'told'] as const;
const LEASE = { leaseMs: 3_000, renewMs: 1_000, watchMs: 300 };
/** So short that clients find out about stalled links. */
const HEARTBEAT = { intervalMs: 1_000, timeoutMs: 1_500 };

describe('when links, nodes and Redis fail while rooms with history are published to', () => {
  const keyPrefix = `${randomBytes(6).toString('hex')}:`;
  const proxies: TcpProxy[] = [];
  let world: World;
  let turn = 0;
  // As a load balancer: each connection goes to the next node that lives.
  const balancer = {
    get port(): number {
      const alive = world.nodes.filter((node) => node.isRunning);
      return Number(new URL(alive[(turn += 1) % alive.length]?.url ?? 'http://127.0.0.1:9').port);
    },
  };

  beforeAll(async () => {
    // Large nodes of streams: what a brief room has left behind stays for the reader of the logs, and for nobody else.
    const args = ['--stream-node-max-bytes', '1000000', '--stream-node-max-entries', '1000'];
    const redis = await startRedis({ isPersistent: true, args });
    const options = { cluster: LEASE, heartbeat: HEARTBEAT };
    const cluster = await bootCluster(NODES, { redisUrl: redis.url, keyPrefix, options });
    world = { redis, cluster, nodes: [...cluster.nodes], proxies };
    for (let index = 0; index < PROXIES; index += 1) proxies.push(await startTcpProxy(balancer));
  });

  afterAll(async () => {
    try {
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
      await world.cluster[Symbol.asyncDispose]();
    } finally {
      await world.redis[Symbol.asyncDispose]();
    }
  });

  /** The storm and the calm after it: until everybody has heard the last publication, or is late. */
  async function historiesOf(seed: number): Promise<Run> {
    const random = seeded(seed);
    const mark = `${seed}-${randomBytes(3).toString('hex')}`;
    const exact = Array.from({ length: EXACT_ROOMS }, (_, index) => `exact/${mark}-${index}`);
    const brief = Array.from({ length: BRIEF_ROOMS }, (_, index) => `brief/${mark}-${index}`);
    const rooms = [...exact, ...brief];
    using reader = new LogReader(await world.redis.client(), keyPrefix, rooms);
    using crowd = new Crowd();
    for (let index = 0; index < CLIENTS; index += 1) {
      const user = `u-${mark}-${index}`;
      const own = shuffled(rooms, random).slice(0, ROOMS_OF_A_CLIENT);
      const url = `http://127.0.0.1:${proxies[index % PROXIES]?.port}`;
      crowd.add({ user, rooms: own, url: () => url, random });
    }
    const members = crowd.all;
    const nodes = (): World['nodes'] => world.nodes.filter((node) => node.isRunning);
    // Half of all to the few brief ones.
    const targets = [...exact, ...Array.from({ length: EXACT_ROOMS / BRIEF_ROOMS }, () => brief).flat()];
    using publishers = new Publishers({ rooms: targets, nodes, members, random, everyMs: PUBLISH_EVERY_MS });
    const faults = new Faults(world, members);
    const enough = (): boolean =>
      acknowledged([...publishers.sent.values()].flat()).length > ENOUGH_SENT &&
      KINDS.every((kind) => members.some(({ heard }) => [...heard.values()].flat().some((one) => one.kind === kind)));
    await faults.blow({ forMs: STORM_MS, seed, seeded, enough });
    await publishers.stop();
    const ends = await publishers.fence();
    // Past the deadline the judgement says what is missing, and shows the rooms.
    await eventually(() => {
      if (members.some((one) => behind(one, ends).length > 0)) throw new Error('somebody has not heard all');
    }).catch(() => undefined);
    const logs = await reader.finish();
    const histories = rooms.map((room) => ({
      room,
      recoverable: room.startsWith('brief/') ? BRIEF_SIZE : MAX_RECOVERED,
      log: logs.get(room)!,
      sent: publishers.sent.get(room) ?? [],
      hearings: members.flatMap(({ user, heard }) => {
        const events = heard.get(room);
        return events ? [{ member: user, events }] : [];
      }),
    }));
    return { histories, members, faults };
  }

  it.each(SEEDS)('loses, doubles and swaps nothing, and tells each gap (REALTIME_SEED=%i)', async (seed) => {
    const startedAt = performance.now();
    const run = await historiesOf(seed);
    console.info(`seed ${seed}: ${summaryOf(run)}; ${Math.round((performance.now() - startedAt) / 1_000)} s`);
    const { histories, members, faults } = run;
    try {
      for (const history of histories) {
        const found = violations(history);
        if (found.length > 0) console.error(storyOf(history, found));
        expect(found).toEqual([]);
      }
      expect(members.flatMap(({ user, malformed }) => malformed.map((what) => `${user}: ${what}`))).toEqual([]);
      expect(members.filter(({ heard }) => [...heard.values()].some((events) => events.length === 0))).toEqual([]);
      expect([...new Set(faults.seen)].sort()).toEqual([...FAULTS].sort());
      expect(acknowledged(histories.flatMap(({ sent }) => sent)).length).toBeGreaterThan(ENOUGH_SENT);
      for (const kind of KINDS) {
        expect(eventsOf(run).some((event) => event.kind === kind)).toBe(true);
      }
    } catch (error) {
      const full = IS_FULL ? 'REALTIME_FULL=1 ' : '';
      console.error(`Replay: REALTIME_SEED=${seed} ${full}npm test -- test/chaos/rooms/exactness.spec.ts`);
      throw error;
    }
  });
});

interface Run {
  readonly histories: readonly RoomHistory[];
  readonly members: readonly Member[];
  readonly faults: Faults;
}

function acknowledged(sent: readonly SentPublication[]): SentPublication[] {
  return sent.filter(({ outcome }) => outcome.status === 'acknowledged');
}

function eventsOf({ histories }: Run): HeardEvent[] {
  return histories.flatMap(({ hearings }) => hearings.flatMap(({ events }) => events));
}

/** What was found, and the history of the room without the members of whom nothing was found. */
function storyOf(history: RoomHistory, found: readonly string[]): string {
  const hearings = history.hearings.filter(({ member }) => found.some((what) => what.includes(`${member} `)));
  return `${found.slice(0, 50).join('\n')}\n\n${describeRoom({ ...history, hearings: hearings.slice(0, 5) })}`;
}

/** What the run was like: a run in which nothing went wrong proves nothing. */
function summaryOf(run: Run): string {
  const { histories, members, faults } = run;
  const count = (names: readonly string[]): string =>
    JSON.stringify(
      Object.fromEntries([...new Set(names)].map((name) => [name, names.filter((n) => n === name).length])),
    );
  const outcomes = histories.flatMap(({ sent }) => sent.map(({ outcome }) => outcome));
  return [
    `sent ${count(outcomes.map((one) => (one.status === 'refused' ? one.code : one.status)))}`,
    `heard ${count(eventsOf(run).map((event) => (event.kind === 'told' ? `told (${event.how})` : event.kind)))}`,
    `epochs ended ${Math.max(...histories.map(({ log }) => Object.keys(log.forks).length))}`,
    `connections ${members.reduce((sum, { connections }) => sum + connections, 0)}`,
    `faults ${count(faults.seen)}`,
  ].join('; ');
}
