import { setTimeout } from 'node:timers/promises';
import { BARE, OURS, OURS_HISTORY, renamed } from '../peers/peer.js';
import { mean, slope } from '../results/statistics.js';
import type { Results, Scenario, Step } from '../scenario.js';
import { fanOut, runsOf } from './shared.js';

type Key = 'heap' | 'rss' | 'connections';

const MIB = 1_048_576;
const HOURS = 24;
/** Code is compiled by then. */
const WARM_HOURS = 6;
/** Who came and went before: more than what we remember of tokens (`auth.verificationCacheSize`, 10 000), which is a bound and no leak. */
const EARLIER_GUESTS = 12_000;
/** Growth in a day, of the mean: below it is noise of garbage collection. */
const MAX_GROWTH = 0.05;
const SETTLE_MS = 500;

/** Between the night's number of connections and the day's, most of them at 15 o'clock. */
function connectionsAt(hour: number, night: number, day: number): number {
  const share = (1 - Math.cos(((hour - 3) / HOURS) * 2 * Math.PI)) / 2;
  return Math.round(night + (day - night) * share);
}

function growth(results: Results<Key>, peer: string, steps: readonly Step[]): number {
  const points = steps.slice(WARM_HOURS).map((step) => [step.x, results.at(peer, step, 'heap')] as const);
  return (slope(points) * HOURS) / mean(points.map(([, heap]) => heap));
}

export const soak: Scenario<Key> = {
  name: 'soak',
  title: 'A day in minutes',
  about:
    'Twenty-four hours of a day in a few seconds each, after 12 000 others have come and gone: connections come and go along a sine, each hour has its round trips, changes of rooms and publications, and ends with the number of connections of the night, where memory is taken after garbage collection. A slope after the sixth hour would be a leak.',
  plan: (settings) => {
    const night = settings.number('night', { full: 200, quick: 10 });
    const day = settings.number('day', { full: 2_000, quick: 30 });
    const seconds = settings.number('seconds', { full: 2, quick: 1 });
    const hours = settings.isQuick ? 3 : HOURS;
    const steps = Array.from({ length: hours }, (_, hour) => ({ label: `${hour} h`, x: hour }));
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
          title: `Live heap at ${night} connections, after each hour of a compressed day`,
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
        await load.ask({ kind: 'churn', perSecond: night, seconds, room: `hall/hour-${x}` }, 'answered');
        await fanOut(session, { rooms: 10, members: night / 10, perSecond: 50, seconds, bytes: 256 });
        await setTimeout(SETTLE_MS);
        const { memory } = await node.ask({ kind: 'memory' }, 'memory');
        return { heap: memory.heap / MIB, rss: memory.rss / MIB, connections };
      },
      checks: (results) =>
        ours
          .filter(({ id }) => results.has(id))
          .map(({ id, name }) => ({
            what: `${name}: growth of the heap in a day, as a share`,
            value: growth(results, id, steps),
            atMost: MAX_GROWTH,
          })),
    };
  },
};
