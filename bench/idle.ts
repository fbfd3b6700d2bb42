import { setTimeout } from 'node:timers/promises';
import { optionalRedis } from './harness/redis.js';
import { OURS, STOCK, oursOnRedis, startPair, type Subject } from './harness/subjects.js';
import { circumstances, judge, median, numberFlag, table } from './harness/table.js';
import type { MemoryUse } from './harness/usage.js';

/**
 * What one idle connection of a ten-handler gateway holds: the slope between a warm server with some connections and the
 * same server with many more, so that nothing that is there once is counted.
 * Flags: `--runs`, `--connections`, `--check`.
 */
const TARGET = 0.25;
const WARM_CONNECTIONS = 300;
/** Until everything that is put off after a connect has happened. */
const SETTLE_MS = 1_500;

const connections = numberFlag('connections', 3_000);
const runs = numberFlag('runs', 5);

async function measure(subject: Subject): Promise<MemoryUse> {
  await using pair = await startPair(subject);
  const { server, load, port } = pair;
  const memoryWith = async (more: number): Promise<MemoryUse> => {
    await load.ask({ kind: 'connect', port, connections: more }, 'connected');
    await setTimeout(SETTLE_MS);
    return (await server.ask('memory', 'memory')).memory;
  };
  const before = await memoryWith(WARM_CONNECTIONS);
  const after = await memoryWith(connections);
  return { heap: (after.heap - before.heap) / connections, rss: (after.rss - before.rss) / connections };
}

await using redis = await optionalRedis();
const subjects = [STOCK, OURS, ...(redis ? [oursOnRedis(redis.url)] : [])];
const results = new Map(subjects.map((subject) => [subject, [] as MemoryUse[]]));
for (let run = 1; run <= runs; run += 1) {
  for (const [subject, memories] of results) {
    memories.push(await measure(subject));
    console.log(`run ${run}: ${subject.name} ${((memories.at(-1)?.heap ?? 0) / 1_024).toFixed(2)} KiB`);
  }
}

const medianOf = (subject: Subject, key: keyof MemoryUse): number =>
  median((results.get(subject) ?? []).map((memory) => memory[key]));
const rows = subjects.map((subject) => [
  subject.name,
  (medianOf(subject, 'heap') / 1_024).toFixed(2),
  (medianOf(subject, 'heap') / medianOf(STOCK, 'heap')).toFixed(3),
  (medianOf(subject, 'rss') / 1_024).toFixed(2),
  (medianOf(subject, 'rss') / medianOf(STOCK, 'rss')).toFixed(3),
]);
console.log(`\nIdle connection, ten handlers, ${connections} connections, median of ${runs}. ${circumstances()}\n`);
console.log(table(['set-up', 'heap KiB', 'of stock', 'RSS KiB', 'of stock'], rows));
judge('idle heap', medianOf(OURS, 'heap') / medianOf(STOCK, 'heap'), TARGET);
