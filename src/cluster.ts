/** The demo on one process for each core, or on `WORKERS` of them. Needs `REDIS_URL`; `npm run start:cluster` brings one. */
import { RealtimeCluster } from 'nestjs-realtime/cluster';
import { readConfig } from './config.js';

const { NODE_NAME: name, WORKERS: workers } = process.env;
const { port, host } = readConfig(process.env);

await RealtimeCluster.run({
  port,
  host,
  workers: workers ? Number(workers) : undefined,
  start: async ({ index, listen }) => {
    // Each worker is a node of its own.
    if (name) process.env['NODE_NAME'] = `${name}-${index}`;
    const { createDemo } = await import('./demo.js');
    await listen(await createDemo());
  },
});
