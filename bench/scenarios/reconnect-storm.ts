import { setTimeout } from 'node:timers/promises';
import { workBetween } from '../harness/redis.js';
import { OURS_HISTORY, STREAMS } from '../peers/peer.js';
import type { Scenario } from '../scenario.js';
import { runsOf } from './shared.js';

type Key = 'recovered' | 'complete' | 'bytesEach' | 'logReads' | 'commandsEach' | 'cpuEach' | 'seconds';

/** Until both nodes have seen that everybody is gone. */
const NOTICED_MS = 1_000;

export const reconnectStorm: Scenario<Key> = {
  name: 'reconnect-storm',
  title: 'Reconnect storm',
  about:
    'All clients of one node are cut at once; while they are away each room gets publications; then they come back, half of them to the other node, and must get what they missed, once and in order. Redis bytes out, reads of its logs and CPU of both nodes, from the first return to the last.',
  plan: (settings) => {
    const clients = settings.number('clients', { full: 2_000, quick: 100 });
    const rooms = settings.number('rooms', { full: 20, quick: 4 });
    const missed = settings.number('missed', { full: 20, quick: 5 });
    const overMs = settings.number('over-ms', { full: 5_000, quick: 500 });
    const step = { label: `${clients} clients`, x: clients };
    return {
      runs: runsOf(settings),
      nodes: 2,
      peers: [STREAMS, OURS_HISTORY],
      steps: [step],
      columns: [
        { key: 'recovered', label: 'recovered', digits: 3 },
        { key: 'complete', label: 'got all, in order', digits: 3 },
        { key: 'bytesEach', label: 'Redis bytes out each', digits: 0, ratioTo: STREAMS.id },
        { key: 'logReads', label: 'log reads', digits: 0 },
        { key: 'commandsEach', label: 'Redis commands each', digits: 2 },
        { key: 'cpuEach', label: 'CPU µs each', digits: 0, ratioTo: STREAMS.id },
        { key: 'seconds', label: 'until all have it, s', digits: 1 },
      ],
      plots: [
        {
          kind: 'bars',
          title: `${clients} clients of ${rooms} rooms come back after ${missed} publications in each`,
          y: { key: 'bytesEach', label: 'Redis bytes out for each client', scale: 'log' },
        },
        {
          kind: 'bars',
          title: `Server CPU to bring ${clients} clients back`,
          y: { key: 'cpuEach', label: 'CPU for each client, µs', scale: 'linear' },
        },
      ],
      prepare: async ({ load, ports, room }) => {
        await load.ask({ kind: 'connect', ports: ports.slice(1), connections: clients, room, rooms }, 'connected');
      },
      measure: async (session) => {
        const { load, node, ports, peer, redis, room } = session;
        const send = async (count: number): Promise<void> => {
          const sent = await node.ask({ kind: 'publish-numbered', mode: peer.mode, room, rooms, count }, 'published');
          if (sent.failures > 0) throw new Error(`${peer.name}: ${sent.failures} publications failed`);
        };
        await load.ask({ kind: 'watch', isFollowing: true }, 'watching');
        await send(1);
        const { deliveries } = await load.ask({ kind: 'collect', expected: clients }, 'collected');
        if (deliveries !== clients)
          throw new Error(`${peer.name}: the first message reached ${deliveries} of ${clients}`);
        await load.ask({ kind: 'cut' }, 'cut');
        await setTimeout(NOTICED_MS);
        await send(missed);
        const before = { cpu: await session.cpu(), redis: await redis.work() };
        const back = await load.ask({ kind: 'return', ports, overMs, missed }, 'returned');
        const { bytesOut, logReads, commands } = workBetween(before.redis, await redis.work());
        return {
          recovered: back.recovered / clients,
          complete: back.complete / clients,
          bytesEach: bytesOut / clients,
          logReads,
          commandsEach: commands / clients,
          cpuEach: ((await session.cpu()) - before.cpu) / clients,
          seconds: back.seconds,
        };
      },
      checks: (results) => {
        if (!results.has(OURS_HISTORY.id)) return [];
        const at = (key: Key): number => results.at(OURS_HISTORY.id, step, key);
        return [
          { what: 'share of clients that were told they recovered', value: at('recovered'), atLeast: 1 },
          { what: 'share of clients that got all, once and in order', value: at('complete'), atLeast: 1 },
          { what: 'log reads for each room and node', value: at('logReads') / rooms / 2, atMost: 2 },
        ];
      },
    };
  },
};
