import { randomBytes } from 'node:crypto';
import type { RealtimeOptions } from 'nestjs-realtime';
import { bootApp, type TestApp, type TestAppOptions } from './app.js';
import { startRedis } from './redis.js';

/** The nodes of a suite that runs on every engine: one app in memory, two of them on a Redis of their own. */
export interface AppPair extends AsyncDisposable {
  readonly nodes: readonly TestApp[];
  readonly first: TestApp;
  /** In memory the first again. */
  readonly last: TestApp;
}

export async function bootPair(engine: 'memory' | 'redis', options: TestAppOptions): Promise<AppPair> {
  if (engine === 'memory') {
    const node = await bootApp(options);
    return { nodes: [node], first: node, last: node, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() };
  }
  const redis = await startRedis();
  const place = { url: redis.url, keyPrefix: `${randomBytes(6).toString('hex')}:` };
  const realtime: Partial<RealtimeOptions> = { ...options.realtime, redis: { ...place, ...options.realtime?.redis } };
  const first = await bootApp({ ...options, realtime });
  const last = await bootApp({ ...options, realtime });
  const dispose = async (): Promise<void> => {
    for (const each of [first, last, redis]) await each[Symbol.asyncDispose]();
  };
  return { nodes: [first, last], first, last, [Symbol.asyncDispose]: dispose };
}
