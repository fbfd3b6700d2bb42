import { BARE, OURS, OURS_REDIS, STOCK, renamed } from '../peers/peer.js';
import type { Scenario } from '../scenario.js';
import { runsOf } from './shared.js';

type Key = 'cpu' | 'p50' | 'p99' | 'commands';

/** Others have no presence: their rows say what entering and leaving a room costs without it. */
export const presenceChurn: Scenario<Key> = {
  name: 'presence-churn',
  title: 'Presence churn',
  about:
    'Connections enter and leave a room, in turn, at a fixed rate; with us each change is presence that every member of the room is told. The other set-ups have no presence and only change the room. All CPU of the server process divided by the changes.',
  plan: (settings) => {
    const rate = settings.number('rate', { full: 1_000, quick: 50 });
    const seconds = settings.number('seconds', { full: 6, quick: 2 });
    const connections = settings.number('connections', { full: 200, quick: 10 });
    const step = { label: `${rate} changes/s`, x: rate };
    return {
      runs: runsOf(settings),
      nodes: 1,
      peers: [STOCK, BARE, renamed(OURS, 'nestjs-realtime'), renamed(OURS_REDIS, 'nestjs-realtime, Redis')],
      steps: [step],
      columns: [
        { key: 'cpu', label: 'CPU µs a change', digits: 1 },
        { key: 'p50', label: 'p50 ms', digits: 2 },
        { key: 'p99', label: 'p99 ms', digits: 2 },
        { key: 'commands', label: 'Redis commands a change', digits: 2 },
      ],
      plots: [
        {
          kind: 'bars',
          title: `Server CPU to enter or leave a room, ${connections} connections, ${rate} changes a second`,
          y: { key: 'cpu', label: 'CPU for each change, µs', scale: 'linear' },
        },
      ],
      prepare: async ({ load, ports }) => {
        await load.ask({ kind: 'connect', ports, connections }, 'connected');
        await load.ask({ kind: 'churn', perSecond: rate, seconds: 1, room: 'hall/warm' }, 'answered');
      },
      measure: async (session) => {
        const { load, peer } = session;
        const commands = async (): Promise<number> => (peer.needsRedis ? (await session.redis.work()).commands : 0);
        const before = { cpu: await session.cpu(), commands: await commands() };
        const reply = await load.ask({ kind: 'churn', perSecond: rate, seconds, room: 'hall/churn' }, 'answered');
        const { answers, errors, p50, p99 } = reply;
        if (answers !== rate * seconds || errors > 0)
          throw new Error(`${peer.name}: ${answers} of ${rate * seconds} answered, ${errors} with an error`);
        return {
          cpu: ((await session.cpu()) - before.cpu) / answers,
          commands: ((await commands()) - before.commands) / answers,
          ...{ p50, p99 },
        };
      },
      checks: () => [],
    };
  },
};
