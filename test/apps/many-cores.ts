/**
 * An app on several processes: `node dist/test-apps/many-cores.js` with `ManyCoresSettings` as JSON in `REALTIME_TEST_CORES`.
 * Workers are called `worker-<pid>` in `realtime:hello`. What the primary and its workers log goes to stdout.
 */
import type { RealtimeOptions } from 'nestjs-realtime';
import { RealtimeCluster, type RealtimeClusterOptions } from 'nestjs-realtime/cluster';

export interface ManyCoresSettings {
  readonly cluster: Omit<RealtimeClusterOptions, 'start' | 'logger'>;
  readonly realtime: RealtimeOptions;
  readonly mishap?: 'throws at boot' | 'forgets to listen' | 'hangs at the end' | 'runs twice';
}

const { cluster, realtime, mishap } = JSON.parse(process.env['REALTIME_TEST_CORES'] ?? '{}') as ManyCoresSettings;

const options: RealtimeClusterOptions = {
  ...cluster,
  start: async ({ listen }) => {
    if (mishap === 'throws at boot') throw new Error('no database');
    if (mishap === 'forgets to listen') return;
    const { createApp } = await import('./many-cores.app.js');
    await listen(await createApp(realtime, mishap === 'hangs at the end'));
  },
};

const running = RealtimeCluster.run(options);
if (mishap === 'runs twice') await RealtimeCluster.run(options);
await running;
