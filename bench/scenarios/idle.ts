import { setTimeout } from 'node:timers/promises';
import type { MemoryUse } from '../harness/usage.js';
import { BARE, OURS, OURS_REDIS, PLAIN_WS, STOCK, renamed } from '../peers/peer.js';
import type { Session } from '../peers/session.js';
import type { Scenario } from '../scenario.js';
import { runsOf } from './shared.js';

type Key = 'heap' | 'rss';

const KIB = 1_024;
/** Until everything that is put off after a connect has happened. */
const SETTLE_MS = 1_500;

async function memoryWith({ load, node, ports }: Session, connections: number): Promise<MemoryUse> {
  await load.ask({ kind: 'connect', ports, connections }, 'connected');
  await setTimeout(SETTLE_MS);
  return (await node.ask({ kind: 'memory' }, 'memory')).memory;
}

export const idle: Scenario<Key> = {
  name: 'idle',
  title: 'Idle connection',
  about:
    'What one authenticated, idle connection to a gateway with ten handlers holds, after garbage collection: the slope between a warm server with some connections and the same server with many more, so that nothing that is there once is counted. Heap is live objects and what hangs on them outside; RSS depends on the allocator too.',
  plan: (settings) => {
    const connections = settings.number('connections', { full: 8_000, quick: 100 });
    const warm = settings.number('warm', { full: 300, quick: 20 });
    const step = { label: `${connections} connections`, x: connections };
    return {
      runs: runsOf(settings),
      nodes: 1,
      peers: [STOCK, BARE, PLAIN_WS, renamed(OURS, 'nestjs-realtime'), renamed(OURS_REDIS, 'nestjs-realtime, Redis')],
      steps: [step],
      columns: [
        { key: 'heap', label: 'heap KiB', digits: 2, ratioTo: STOCK.id },
        { key: 'rss', label: 'RSS KiB', digits: 2, ratioTo: STOCK.id },
      ],
      plots: [
        {
          kind: 'bars',
          title: `Memory of an idle connection, ten handlers, ${connections} connections`,
          y: { key: 'rss', label: 'RSS for each connection, KiB', scale: 'linear' },
        },
        {
          kind: 'bars',
          title: `Heap of an idle connection, ten handlers, ${connections} connections`,
          y: { key: 'heap', label: 'heap for each connection, KiB', scale: 'linear' },
        },
      ],
      measure: async (session) => {
        const before = await memoryWith(session, warm);
        const after = await memoryWith(session, connections);
        return {
          heap: (after.heap - before.heap) / connections / KIB,
          rss: (after.rss - before.rss) / connections / KIB,
        };
      },
      checks: (results) => {
        const ours = (key: Key): number => results.at(OURS.id, step, key);
        const stock = (key: Key): number => results.at(STOCK.id, step, key);
        return [
          { what: "heap, of stock Nest's", value: ours('heap') / stock('heap'), atMost: 0.25 },
          { what: "RSS, of stock Nest's", value: ours('rss') / stock('rss'), atMost: 0.25 },
          { what: 'RSS in KiB', value: ours('rss'), atMost: 14 },
        ].filter(({ value }) => Number.isFinite(value));
      },
    };
  },
};
