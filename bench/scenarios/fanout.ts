import {
  BARE,
  OURS,
  OURS_PUBLISH,
  OURS_REDIS,
  OURS_REDIS_PUBLISH,
  PLAIN_WS,
  STOCK,
  STOCK_REDIS,
  UWS,
} from '../peers/peer.js';
import type { Check, Results, Scenario } from '../scenario.js';
import { fanOut, runsOf } from './shared.js';

type Key = 'p50' | 'p99' | 'cpu' | 'missing' | 'busy';

const LIMIT_MS = 10;
const BYTES = 64;
const OF_STOCK = 16;
const OF_WS = 2;
const OURS_ALL = [OURS, OURS_PUBLISH, OURS_REDIS, OURS_REDIS_PUBLISH];

export const fanout: Scenario<Key> = {
  name: 'fanout',
  title: 'Fan-out to 100 members',
  about:
    'Server code sends 64-byte events to one room at a growing rate; a peer is not asked for more once it takes longer than 100 ms or loses something. Latency from the moment at which an event was due to its arrival at a member.',
  plan: (settings) => {
    const members = settings.number('members', { full: 100, quick: 20 });
    const seconds = settings.number('seconds', { full: 4, quick: 2 });
    const rates = settings.numbers('rates', {
      full: [12_500, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 600_000, 800_000, 1_000_000],
      quick: [500, 1_000],
    });
    return {
      runs: runsOf(settings),
      nodes: 1,
      peers: [STOCK, STOCK_REDIS, BARE, PLAIN_WS, UWS, ...OURS_ALL],
      steps: rates.map((rate) => ({ label: `${rate.toLocaleString('en-GB')}/s`, x: rate })),
      columns: [
        { key: 'p50', label: 'p50 ms', digits: 2 },
        { key: 'p99', label: 'p99 ms', digits: 2 },
        { key: 'cpu', label: 'CPU µs a delivery', digits: 2 },
        { key: 'missing', label: 'missing', digits: 4 },
        { key: 'busy', label: 'client core', digits: 2 },
      ],
      plots: [
        {
          kind: 'lines',
          title: `Fan-out to ${members} members, 64-byte events, one core`,
          x: { label: 'deliveries a second', scale: 'log' },
          y: { key: 'p99', label: 'latency p99, ms', scale: 'log' },
          mark: { value: LIMIT_MS, label: '10 ms' },
        },
        {
          kind: 'lines',
          title: `Server CPU of a delivery, ${members} members`,
          x: { label: 'deliveries a second', scale: 'log' },
          y: { key: 'cpu', label: 'CPU for each delivery, µs', scale: 'log' },
        },
      ],
      prepare: async (session) => {
        const { load, ports, room } = session;
        await load.ask({ kind: 'connect', ports, connections: members, room, rooms: 1 }, 'connected');
        await fanOut(session, { rooms: 1, members, bytes: BYTES, perSecond: 50, seconds: 2 });
      },
      measure: async (session, { x }) => {
        const perSecond = Math.round(x / members);
        const cost = await fanOut(session, { rooms: 1, members, perSecond, seconds, bytes: BYTES });
        const { p50, p99, missing, busy } = cost;
        return { p50, p99, missing, busy, cpu: cost.cpu / cost.deliveries };
      },
      isBeyondLimit: ({ p99, missing }) => !(p99 < 10 * LIMIT_MS) || missing > 0,
      checks: (results) => OURS_ALL.flatMap(({ id, name }) => checksOf(results, id, name)),
    };
  },
};

function checksOf(results: Results<Key>, id: string, name: string): Check[] {
  if (!results.has(id)) return [];
  const largest = (peer: string): number =>
    results.largest(peer, ({ p99, missing }) => p99 < LIMIT_MS && missing === 0);
  const against = [
    { peer: BARE, atLeast: OF_STOCK },
    { peer: STOCK, atLeast: OF_STOCK },
    { peer: STOCK_REDIS, atLeast: OF_STOCK },
    { peer: PLAIN_WS, atLeast: OF_WS },
  ];
  return against
    .filter(({ peer }) => results.has(peer.id))
    .map(({ peer, atLeast }) => ({
      what: `${name}: largest rate with p99 below 10 ms (${largest(id)}/s), of ${peer.name}'s`,
      value: largest(id) / largest(peer.id),
      atLeast,
    }));
}
