import type { EventEmitter } from 'node:events';

/** What is used of `@socket.io/sticky`, which asks for less than its types do. */
export interface StickyPackage {
  setupMaster(door: EventEmitter, options: { loadBalancingMethod: 'least-connection' }): void;
  setupWorker(app: {
    httpServer: unknown;
    engine: { on(event: string, listener: (socket: never) => void): void };
  }): void;
}

/** @throws Error that says what to install. */
export async function loadSticky(): Promise<StickyPackage> {
  try {
    const { default: sticky } = (await import('@socket.io/sticky')) as unknown as { default: StickyPackage };
    return sticky;
  } catch (cause) {
    throw new Error('RealtimeCluster with `sticky: true` needs a package: npm install @socket.io/sticky', { cause });
  }
}
