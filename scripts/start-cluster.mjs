// `npm run start:cluster`: the demo on one process for each core (or on WORKERS of them), all on one port (PORT), and one Redis.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startRedis } from './demo-cluster/redis.mjs';

const redis = await startRedis();
console.log(`Redis: ${redis.url}${redis.isPrivate ? ' (private, ends with this program)' : ''}`);

const script = join(import.meta.dirname, '../dist/demo/cluster.js');
const demo = spawn(process.execPath, [script], { env: { ...process.env, REDIS_URL: redis.url }, stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => demo.kill('SIGTERM'));
console.log(`Open http://localhost:${process.env.PORT || 3000} in two windows. Ctrl+C ends everything.`);

const [code] = await once(demo, 'exit');
await redis.stop();
process.exit(code ?? 1);
