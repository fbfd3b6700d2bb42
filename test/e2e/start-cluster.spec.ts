import { join } from 'node:path';
import { ManyCores } from '../support/many-cores.js';
import { freePort } from '../support/free-port.js';

const SCRIPT = join(import.meta.dirname, '../../scripts/start-cluster.mjs');

describe('when the demo is started on many cores', () => {
  it('serves one port with several processes, on a Redis of its own, until one signal ends all', async () => {
    const port = await freePort();
    const redis = process.env['REDIS_SERVER'];
    const env = { PORT: String(port), WORKERS: '2', ...(redis === undefined ? {} : { REDIS_SERVER: redis }) };
    await using demo = new ManyCores(SCRIPT, env);
    await demo.says(/Open http:\/\/localhost:\d+ in two windows/);
    await demo.workers(2);
    const names = new Set<string>();
    // node:cluster takes turns: the second answer is the other worker's.
    for (let asked = 0; asked < 20 && names.size < 2; asked += 1) {
      const answer = await fetch(`http://127.0.0.1:${port}/node`, { headers: { connection: 'close' } });
      names.add(((await answer.json()) as { name: string }).name);
    }
    expect(names.size).toBe(2);
    demo.signal('SIGTERM');
    expect(await demo.exited).toBe(0);
  });
});
