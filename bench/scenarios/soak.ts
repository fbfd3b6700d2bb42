import { setTimeout } from 'node:timers/promises';
import { USERS } from '../harness/tokens.js';
import { BARE, OURS, OURS_HISTORY, renamed } from '../peers/peer.js';
import { mean } from '../results/statistics.js';
import type { Results, Scenario, Step } from '../scenario.js';
import { fanOut, runsOf } from './shared.js';

type Key = 'heap' | 'rss' | 'connections';

const MIB = 1_048_576;
const HOURS = 24;
const DAYS = 2;
/** Hours that a step stands for. */
const STEP_HOURS = 2;
/** Of the mean, from a day to the next: below it is noise of garbage collection. */
const MAX_GROWTH = 0.05;
/**
 * Who came and went before: everybody, so that what is remembered of users (when they were last seen) is as much as it gets, and
 * more than the tokens that we remember (`auth.verificationCacheSize`, 10 000).
 */
const EARLIER_GUESTS = USERS;
const SETTLE_MS = 500;

/** Between the night's number of connections and the day's, most of them at 15 o'clock. */
function connectionsAt(hour: number, night: number, day: number): number {
  const share = (1 - Math.cos(((hour - 3) / HOURS) * 2 * Math.PI)) / 2;
  return Math.round(night + (day - night) * share);
}

/**
 * From the first day to the second, of the first. The same hours of both are compared: what is remembered for a while, or up to a bound
 * (tokens, rooms that were just left), goes up and down with the connections of a day.
 */
function growth(results: Results<Key>, peer: string, steps: readonly Step[]): number {
  const heaps = steps.map((step) => results.at(peer, step, 'heap'));
  const day = steps.length / DAYS;
  return mean(heaps.slice(day)) / mean(heaps.slice(0, day)) - 1;
}

export const soak: Scenario<Key> = {
  name: 'soak',
  title: 'Two days in minutes',
  about:
    'Two days, two hours of them in a few seconds each, after all 20 000 users have come and gone: connections come and go along a sine, each step has its round trips, changes of rooms and publications, and ends with the number of connections of the night, where memory is taken after garbage collection. What the second day has more than the first would be a leak.',
  plan: (settings) => {
    const night = settings.number('night', { full: 200, quick: 10 });
    const day = settings.number('day', { full: 2_000, quick: 30 });
    const seconds = settings.number('seconds', { full: 1, quick: 1 });
    const count = DAYS * (settings.isQuick ? 2 : HOURS / STEP_HOURS);
    const steps = Array.from({ length: count }, (_, index) => {
      const hour = index * STEP_HOURS;
      return { label: `${hour} h`, x: hour };
    });
    const ours = [renamed(OURS, 'nestjs-realtime'), OURS_HISTORY];
    return {
      steps,
      runs: runsOf(settings, 1),
      nodes: 1,
      peers: [BARE, ...ours],
      columns: [
        { key: 'heap', label: 'heap MiB', digits: 1 },
        { key: 'rss', label: 'RSS MiB', digits: 1 },
        { key: 'connections', label: 'connections', digits: 0 },
      ],
      plots: [
        {
          kind: 'lines',
          title: `Live heap at ${night} connections, over two compressed days`,
          x: { label: 'hour', scale: 'linear' },
          y: { key: 'heap', label: 'heap after garbage collection, MiB', scale: 'linear' },
        },
      ],
      prepare: async ({ load, ports, room }) => {
        await load.ask({ kind: 'connect', ports, connections: night, room, rooms: 10 }, 'connected');
        for (let earlier = 0; earlier < (settings.isQuick ? 0 : EARLIER_GUESTS); earlier += day) {
          await load.ask({ kind: 'connect', ports, connections: day }, 'connected');
          await load.ask({ kind: 'close', connections: day }, 'closed');
        }
      },
      measure: async (session, { x }) => {
        const { load, node, ports } = session;
        const guests = Math.max(1, connectionsAt(x, night, day) - night);
        const { connections } = await load.ask({ kind: 'connect', ports, connections: guests }, 'connected');
        await load.ask({ kind: 'ask', perSecond: connections, seconds }, 'answered');
        await load.ask({ kind: 'close', connections: guests }, 'closed');
        // In and out again, each of them: an odd number of changes would leave its last room to every connection.
        await load.ask({ kind: 'churn', perSecond: 2 * night, seconds, room: `hall/hour-${x}` }, 'answered');
        await fanOut(session, { rooms: 10, members: night / 10, perSecond: 50, seconds, bytes: 256 });
        await setTimeout(SETTLE_MS);
        const { memory } = await node.ask({ kind: 'memory' }, 'memory');
        return { heap: memory.heap / MIB, rss: memory.rss / MIB, connections };
      },
      checks: (results) =>
        ours
          .filter(({ id }) => results.has(id))
          .map(({ id, name }) => ({
            what: `${name}: growth of the heap from a day to the next, as a share`,
            value: growth(results, id, steps),
            atMost: MAX_GROWTH,
          })),
    };
  },
};
