// `npm run demo:cluster`: three nodes on one Redis, simulated users who chat, and a report after each kill.
//   --auto   kills one node by itself, prints the report and exits (1 if anything was lost)
//   --stock  the same with the recipe of Nest's documentation instead of this library; implies --auto
import { startRedis } from './demo-cluster/redis.mjs';
import { freePorts, startNode } from './demo-cluster/nodes.mjs';
import { Crowd } from './demo-cluster/crowd.mjs';
import { printReport } from './demo-cluster/report.mjs';
import { connectOurs, connectStock } from './demo-cluster/users.mjs';

const isStock = process.argv.includes('--stock');
const isAuto = isStock || process.argv.includes('--auto');
const USERS_PER_NODE = 5;
/** Few enough to read along in a window, many enough to catch messages in flight when nobody watches. */
const MESSAGES_PER_SECOND = isAuto ? 40 : 1;
/** Design: everybody hears of a crash within 20 s. */
const ANNOUNCED_WITHIN_MS = 20_000;
const ROOM = 'lobby';

const redis = await startRedis();
// Others for each, so that both can run side by side.
const ports = await freePorts(isStock ? [3011, 3012, 3013] : [3001, 3002, 3003]);
const urls = ports.map((port) => `http://localhost:${port}`);
console.log(`Redis: ${redis.url}${redis.isPrivate ? ' (private, ends with this program)' : ''}`);

const script = isStock ? 'dist/demo/stock/main.js' : 'dist/demo/main.js';
const nodes = await Promise.all(
  ports.map((port, index) => startNode({ name: `node-${index + 1}`, port, urls, script, redisUrl: redis.url })),
);
const crowd = new Crowd(isStock ? connectStock : connectOurs, ROOM);
await crowd.enter(nodes, USERS_PER_NODE);
crowd.chat(MESSAGES_PER_SECOND);

console.log(
  `\n${isStock ? "The documentation's recipe" : 'nestjs-realtime'} on three nodes, ${crowd.users.length} simulated users in '${ROOM}'.`,
);
if (!isStock) {
  for (const [index, { name, url }] of nodes.entries())
    console.log(`  ${name}  ${url}/#user=${['ada', 'bob', 'cyd'][index]}&room=${ROOM}`);
}
if (!isAuto) console.log('\nOpen two of them, then press "Kill this node" on one. Ctrl+C ends everything.\n');

let isEnding = false;
let lastReport = Promise.resolve(true);
for (const node of nodes) {
  node.exited.then(() => {
    if (isEnding) return;
    lastReport = lastReport.then(() => reportOn(node));
  });
}

async function reportOn(node) {
  console.log(`\n${node.name} was killed. Watching the others for up to ${ANNOUNCED_WITHIN_MS / 1_000} s.`);
  const result = await crowd.observe(node, ANNOUNCED_WITHIN_MS);
  return printReport(result);
}

async function end(code) {
  isEnding = true;
  crowd.leave();
  for (const node of nodes) node.stop();
  await Promise.all(nodes.map((node) => node.exited));
  await redis.stop();
  process.exit(code);
}

process.once('SIGINT', () => void end(0));
process.once('SIGTERM', () => void end(0));

if (isAuto) {
  await crowd.acknowledged(isStock ? 0 : 100);
  const victim = nodes[1];
  await fetch(`${victim.url}/dev/kill`, { method: 'POST' });
  await victim.exited;
  const isGood = await lastReport;
  await end(isGood || isStock ? 0 : 1);
}
