import { workBetween } from '../harness/redis.js';
import { OURS_HISTORY, STOCK_REDIS, STREAMS } from '../peers/peer.js';
import type { Scenario } from '../scenario.js';
import { fanOut, runsOf } from './shared.js';

type Key = 'p50' | 'p99' | 'cpu' | 'perCpuSecond' | 'commands' | 'redisCpu' | 'missing';

const TARGET_RATE = 2_000;
const TARGET_P99_MS = 10;
const BYTES = 64;
const WARM_UP = { perSecond: 100, seconds: 2 };

/** What is published is stored and numbered by us and by the streams adapter; the pub/sub adapter only passes it on. */
export const publish: Scenario<Key> = {
  name: 'publish',
  title: 'Publications over two nodes',
  about:
    'Server code publishes on one node, all members are on the other, Redis is between them. Latency from the moment at which a publication was due to its arrival; CPU of both nodes. Redis commands include those that scripts call. 20 rooms with 10 members each, 64-byte events.',
  plan: (settings) => {
    const rooms = settings.number('rooms', { full: 20, quick: 4 });
    const members = settings.number('members', { full: 10, quick: 5 });
    const seconds = settings.number('seconds', { full: 5, quick: 2 });
    const rates = settings.numbers('rates', {
      full: [1_000, TARGET_RATE, 5_000, 10_000, 20_000, 40_000],
      quick: [100, 500],
    });
    const steps = rates.map((rate) => ({ label: `${rate.toLocaleString('en-GB')}/s`, x: rate }));
    const target = steps.find(({ x }) => x === TARGET_RATE);
    return {
      steps,
      runs: runsOf(settings),
      nodes: 2,
      peers: [STREAMS, STOCK_REDIS, OURS_HISTORY],
      columns: [
        { key: 'p50', label: 'p50 ms', digits: 2 },
        { key: 'p99', label: 'p99 ms', digits: 2 },
        { key: 'cpu', label: 'CPU µs each', digits: 0, ratioTo: STREAMS.id },
        { key: 'perCpuSecond', label: 'per CPU second', digits: 0 },
        { key: 'commands', label: 'Redis commands each', digits: 2 },
        { key: 'redisCpu', label: 'Redis CPU µs each', digits: 0 },
        { key: 'missing', label: 'missing', digits: 4 },
      ],
      plots: [
        {
          kind: 'lines',
          title: 'Publish to deliver over two nodes, 10 members a room',
          x: { label: 'deliveries a second', scale: 'log' },
          y: { key: 'p99', label: 'latency p99, ms', scale: 'log' },
          mark: { value: TARGET_P99_MS, label: 'target: 10 ms' },
        },
        {
          kind: 'lines',
          title: 'Server CPU of a publication, both nodes, 10 deliveries included',
          x: { label: 'deliveries a second', scale: 'log' },
          y: { key: 'cpu', label: 'CPU for each publication, µs', scale: 'linear' },
        },
      ],
      prepare: async (session) => {
        const { load, ports, room } = session;
        const onSecond = ports.slice(1);
        await load.ask({ kind: 'connect', ports: onSecond, connections: rooms * members, room, rooms }, 'connected');
        await fanOut(session, { rooms, members, bytes: BYTES, ...WARM_UP });
      },
      measure: async (session, { x }) => {
        const before = await session.redis.work();
        const perSecond = Math.max(1, Math.round(x / members));
        const cost = await fanOut(session, { rooms, members, perSecond, seconds, bytes: BYTES, samples: 100 });
        const { commands, cpu: redisCpu } = workBetween(before, await session.redis.work());
        const cpu = cost.cpu / cost.publications;
        const { p50, p99, missing } = cost;
        return {
          p50,
          p99,
          cpu,
          perCpuSecond: 1_000_000 / cpu,
          commands: commands / cost.publications,
          redisCpu: redisCpu / cost.publications,
          missing,
        };
      },
      isBeyondLimit: ({ p99, missing }) => p99 > 1_000 || missing > 0,
      checks: (results) =>
        target === undefined || !results.has(OURS_HISTORY.id)
          ? []
          : [
              {
                what: `p99 in ms at ${TARGET_RATE} deliveries a second`,
                value: results.at(OURS_HISTORY.id, target, 'p99'),
                atMost: TARGET_P99_MS,
              },
              {
                what: 'publications per CPU second, of the streams adapter',
                value:
                  results.at(OURS_HISTORY.id, target, 'perCpuSecond') / results.at(STREAMS.id, target, 'perCpuSecond'),
                atLeast: 1,
              },
            ],
    };
  },
};
