import { BARE, OURS, OURS_REDIS, STOCK, STOCK_REDIS, renamed } from '../peers/peer.js';
import type { Scenario, Step } from '../scenario.js';
import { runsOf } from './shared.js';

type Key = 'cpu' | 'perCpuSecond' | 'perSecond';

export const connect: Scenario<Key> = {
  name: 'connect',
  title: 'Authenticated connects',
  about:
    'WebSocket connections with a JWT of their own each, 50 at a time, until the namespace is open; all CPU of the server process divided by the connects. Tokens are signed before. A process that has just started compiles its code meanwhile.',
  plan: (settings) => {
    const connections = settings.number('connections', { full: 12_000, quick: 100 });
    const early = Math.ceil(connections / 4);
    const cold: Step = { label: `first ${early.toLocaleString('en-GB')}`, x: early };
    const warm: Step = { label: `next ${connections.toLocaleString('en-GB')}`, x: connections };
    return {
      runs: runsOf(settings),
      nodes: 1,
      peers: [
        STOCK,
        STOCK_REDIS,
        BARE,
        renamed(OURS, 'nestjs-realtime'),
        renamed(OURS_REDIS, 'nestjs-realtime, Redis'),
      ],
      steps: [cold, warm],
      columns: [
        { key: 'cpu', label: 'CPU µs', digits: 0, ratioTo: STOCK.id },
        { key: 'perCpuSecond', label: 'per CPU second', digits: 0 },
        { key: 'perSecond', label: 'per second', digits: 0 },
      ],
      plots: [
        {
          kind: 'bars',
          title: 'Server CPU of an authenticated connect',
          y: { key: 'cpu', label: 'CPU for each connect, µs', scale: 'linear' },
        },
      ],
      prepare: async ({ load, ports }) => {
        await load.ask({ kind: 'connect', ports, connections: Math.ceil(connections / 24) }, 'connected');
      },
      measure: async (session, { x: count }) => {
        const { load, ports } = session;
        const before = await session.cpu();
        const { seconds } = await load.ask({ kind: 'connect', ports, connections: count }, 'connected');
        const cpu = ((await session.cpu()) - before) / count;
        return { cpu, perCpuSecond: 1_000_000 / cpu, perSecond: count / seconds };
      },
      checks: (results) =>
        [
          { ours: OURS, stock: STOCK },
          { ours: OURS_REDIS, stock: STOCK_REDIS },
        ]
          .filter(({ ours, stock }) => results.has(ours.id) && results.has(stock.id))
          .map(({ ours, stock }) => ({
            what: `connects per CPU second (${ours.id}), of ${stock.name}'s`,
            value: results.at(ours.id, warm, 'perCpuSecond') / results.at(stock.id, warm, 'perCpuSecond'),
            atLeast: 2,
          })),
    };
  },
};
