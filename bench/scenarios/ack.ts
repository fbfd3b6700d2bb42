import { BARE, OURS, OURS_REDIS, STOCK, renamed } from '../peers/peer.js';
import type { Scenario } from '../scenario.js';
import { runsOf } from './shared.js';

type Key = 'cpu' | 'perCpuSecond' | 'p50' | 'p99';

const WARM_UP_SECONDS = 8;

export const ack: Scenario<Key> = {
  name: 'ack',
  title: 'Ack round trip',
  about:
    'Messages with an ack at a fixed rate, handled by one of ten handlers behind a guard that checks a role (Nest and ours); all CPU of the server process divided by the answers.',
  plan: (settings) => {
    const rate = settings.number('rate', { full: 4_000, quick: 500 });
    const seconds = settings.number('seconds', { full: 6, quick: 2 });
    const connections = settings.number('connections', { full: 100, quick: 20 });
    const step = { label: `${rate}/s`, x: rate };
    return {
      runs: runsOf(settings),
      nodes: 1,
      peers: [STOCK, BARE, renamed(OURS, 'nestjs-realtime'), renamed(OURS_REDIS, 'nestjs-realtime, Redis')],
      steps: [step],
      columns: [
        { key: 'cpu', label: 'CPU µs', digits: 1, ratioTo: STOCK.id },
        { key: 'perCpuSecond', label: 'per CPU second', digits: 0 },
        { key: 'p50', label: 'p50 ms', digits: 2 },
        { key: 'p99', label: 'p99 ms', digits: 2 },
      ],
      plots: [
        {
          kind: 'bars',
          title: `Server CPU of an ack round trip at ${rate}/s`,
          y: { key: 'cpu', label: 'CPU for each round trip, µs', scale: 'linear' },
        },
      ],
      prepare: async ({ load, ports }) => {
        await load.ask({ kind: 'connect', ports, connections }, 'connected');
        await load.ask({ kind: 'ask', perSecond: rate, seconds: settings.isQuick ? 1 : WARM_UP_SECONDS }, 'answered');
      },
      measure: async (session) => {
        const before = await session.cpu();
        const reply = await session.load.ask({ kind: 'ask', perSecond: rate, seconds }, 'answered');
        const { answers, errors, p50, p99 } = reply;
        if (answers !== rate * seconds || errors > 0)
          throw new Error(`${session.peer.name}: ${answers} of ${rate * seconds} answered, ${errors} with an error`);
        const cpu = ((await session.cpu()) - before) / answers;
        return { cpu, perCpuSecond: 1_000_000 / cpu, p50, p99 };
      },
      checks: (results) => {
        const more = (peer: string): number =>
          results.at(OURS.id, step, 'perCpuSecond') / results.at(peer, step, 'perCpuSecond');
        return [
          { what: "round trips per CPU second, of stock Nest's", value: more(STOCK.id), atLeast: 1.5 },
          { what: "round trips per CPU second, of bare Socket.IO's", value: more(BARE.id), atLeast: 1 },
        ].filter(({ value }) => Number.isFinite(value));
      },
    };
  },
};
