import { BARE, OURS, OURS_PUBLISH, OURS_REDIS, OURS_REDIS_PUBLISH, PLAIN_WS, UWS } from '../peers/peer.js';
import type { Session } from '../peers/session.js';
import type { Scenario, Step } from '../scenario.js';
import { fanOut, runsOf } from './shared.js';

type Key = 'cpu' | 'p99' | 'missing';

const BYTES = 64;
/** The same rate takes a fifth more CPU in the first four seconds than in the next. */
const WARM_UP_SECONDS = 8;
const OURS_ALL = [OURS, OURS_PUBLISH, OURS_REDIS, OURS_REDIS_PUBLISH];

/** `members` grows from step to step: who is connected stays. */
async function fillUp({ load, ports, room }: Session, connected: number, members: number): Promise<void> {
  if (members > connected)
    await load.ask({ kind: 'connect', ports, connections: members - connected, room, rooms: 1 }, 'connected');
}

export const fanoutCpu: Scenario<Key> = {
  name: 'fanout-cpu',
  title: 'Server CPU of a delivery',
  about:
    'One room, 64-byte events, a fixed rate; all CPU of the server process divided by the deliveries, after some seconds of the same in which it compiles its code. Where few writes carry many deliveries the window is short; where each delivery is a write, and neighbours of the machine disturb most, it is long.',
  plan: (settings) => {
    const seconds = settings.number('seconds', { full: 4, quick: 1 });
    const warmUp = settings.isQuick ? seconds : WARM_UP_SECONDS;
    const [few, many] = settings.isQuick ? [10, 20] : [100, 1_000];
    const [slow, fast] = settings.isQuick ? [10, 20] : [200, 4_000];
    const step = (members: number, perSecond: number, windows: number): Step => ({
      label: `${members.toLocaleString('en-GB')} members, ${(members * perSecond).toLocaleString('en-GB')}/s`,
      x: members * perSecond,
      values: { members, perSecond, seconds: windows * seconds },
    });
    const light = step(few, slow, 1);
    const heavy = step(few, fast, 1);
    const wide = step(many, settings.isQuick ? 10 : 100, 3);
    const connected = new WeakMap<Session, number>();
    return {
      runs: runsOf(settings),
      nodes: 1,
      peers: [BARE, PLAIN_WS, UWS, ...OURS_ALL],
      steps: [light, heavy, wide],
      columns: [
        { key: 'cpu', label: 'CPU µs', digits: 2, ratioTo: UWS.id },
        { key: 'p99', label: 'p99 ms', digits: 2 },
        { key: 'missing', label: 'missing', digits: 4 },
      ],
      plots: [
        {
          kind: 'bars',
          title: 'Server CPU of a delivery',
          y: { key: 'cpu', label: 'CPU for each delivery, µs', scale: 'log' },
        },
      ],
      measure: async (session, { values = {} }) => {
        const { members = few, perSecond = slow, seconds: window = seconds } = values;
        await fillUp(session, connected.get(session) ?? 0, members);
        connected.set(session, members);
        await fanOut(session, { rooms: 1, members, perSecond, seconds: warmUp, bytes: BYTES });
        const cost = await fanOut(session, { rooms: 1, members, perSecond, seconds: window, bytes: BYTES });
        return { cpu: cost.cpu / cost.deliveries, p99: cost.p99, missing: cost.missing };
      },
      checks: (results) =>
        OURS_ALL.filter(({ id }) => results.has(id)).flatMap(({ id, name }) => {
          const ratio = (peer: string, at: Step): number => results.at(id, at, 'cpu') / results.at(peer, at, 'cpu');
          return [
            { what: `${name}, ${heavy.label}: CPU of uWebSockets.js's`, value: ratio(UWS.id, heavy), atMost: 1.3 },
            { what: `${name}, ${wide.label}: CPU of uWebSockets.js's`, value: ratio(UWS.id, wide), atMost: 1.1 },
            { what: `${name}, ${wide.label}: CPU of raw ws's`, value: ratio(PLAIN_WS.id, wide), atMost: 0.8 },
          ].filter(({ value }) => Number.isFinite(value));
        }),
    };
  },
};
