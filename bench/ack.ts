import { optionalRedis } from './harness/redis.js';
import { OURS, STOCK, oursOnRedis, startPair, type Subject } from './harness/subjects.js';
import { circumstances, judge, median, numberFlag, table } from './harness/table.js';

/**
 * What one ack round trip costs the server in CPU, at a fixed rate. Alternating runs: this machine's noise hits all alike.
 * Flags: `--runs`, `--rate`, `--seconds`, `--check`.
 */
const TARGET = 0.9;
const CONNECTIONS = 100;
const WARM_UP_SECONDS = 3;

const runs = numberFlag('runs', 5);
const rate = numberFlag('rate', 4_000);
const seconds = numberFlag('seconds', 6);

interface AckCost {
  readonly cpu: number;
  readonly p50: number;
  readonly p99: number;
}

async function measure(subject: Subject): Promise<AckCost> {
  await using pair = await startPair(subject);
  const { server, load, port } = pair;
  const cpu = async (): Promise<number> => (await server.ask('cpu', 'cpu')).microseconds;
  await load.ask({ kind: 'connect', port, connections: CONNECTIONS }, 'connected');
  await load.ask({ kind: 'ask', perSecond: rate, seconds: WARM_UP_SECONDS }, 'answered');
  const before = await cpu();
  const { answers, errors, p50, p99 } = await load.ask({ kind: 'ask', perSecond: rate, seconds }, 'answered');
  const after = await cpu();
  if (answers !== rate * seconds || errors > 0) {
    throw new Error(`${subject.name}: ${answers} of ${rate * seconds} answered, ${errors} with an error`);
  }
  return { cpu: (after - before) / answers, p50, p99 };
}

await using redis = await optionalRedis();
const subjects = [STOCK, OURS, ...(redis ? [oursOnRedis(redis.url)] : [])];
const results = new Map(subjects.map((subject) => [subject, [] as AckCost[]]));
for (let run = 1; run <= runs; run += 1) {
  for (const [subject, costs] of results) {
    costs.push(await measure(subject));
    console.log(`run ${run}: ${subject.name} ${(costs.at(-1)?.cpu ?? 0).toFixed(1)} µs`);
  }
}

const medianOf = (subject: Subject, key: keyof AckCost): number =>
  median((results.get(subject) ?? []).map((cost) => cost[key]));
const rows = subjects.map((subject) => [
  subject.name,
  medianOf(subject, 'cpu').toFixed(1),
  (medianOf(subject, 'cpu') / medianOf(STOCK, 'cpu')).toFixed(3),
  medianOf(subject, 'p50').toFixed(2),
  medianOf(subject, 'p99').toFixed(2),
]);
console.log(
  `\nAck round trip, ${rate}/s over ${CONNECTIONS} connections for ${seconds} s, median of ${runs}. ${circumstances()}\n`,
);
console.log(table(['set-up', 'CPU µs', 'of stock', 'p50 ms', 'p99 ms'], rows));
judge('ack CPU', medianOf(OURS, 'cpu') / medianOf(STOCK, 'cpu'), TARGET);
