import type { ConnectionEvent } from './connection-state.js';

type Sign = Extract<ConnectionEvent['type'], 'online' | 'offline' | 'visible'>;

/** What a browser says about network and attention; nothing elsewhere. Returns how to stop listening. */
export function watchEnvironment(tell: (sign: Sign) => void): () => void {
  const ended = new AbortController();
  const listen = (target: EventTarget | undefined, event: string, sign: Sign): void =>
    // React Native has a `window` without events.
    target?.addEventListener?.(
      event,
      () => {
        if (sign !== 'visible' || page?.visibilityState !== 'hidden') tell(sign);
      },
      { signal: ended.signal },
    );
  const { window, document: page, navigator } = globalThis as Partial<typeof globalThis>;
  listen(window, 'online', 'online');
  listen(window, 'offline', 'offline');
  // A page out of the back-forward cache, and one that the browser had frozen.
  listen(window, 'pageshow', 'visible');
  listen(page, 'resume', 'visible');
  listen(page, 'visibilitychange', 'visible');
  if (navigator?.onLine === false) tell('offline');
  return () => ended.abort();
}
