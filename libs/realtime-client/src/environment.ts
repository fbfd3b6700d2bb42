import type { ConnectionEvent } from './connection-state.js';

type Sign = Extract<ConnectionEvent['type'], 'online' | 'offline' | 'visible'>;

const hasEvents = typeof addEventListener === 'function';

/** What a browser says about network and attention; nothing elsewhere. Returns how to stop listening. */
export function watchEnvironment(tell: (sign: Sign) => void): () => void {
  if (!hasEvents) return () => undefined;
  const page = typeof document === 'undefined' ? undefined : document;
  const online = (): void => tell('online');
  const offline = (): void => tell('offline');
  const visible = (): void => {
    if (page?.visibilityState !== 'hidden') tell('visible');
  };
  addEventListener('online', online);
  addEventListener('offline', offline);
  // A page out of the back-forward cache, and one that the browser had frozen.
  addEventListener('pageshow', visible);
  page?.addEventListener('resume', visible);
  page?.addEventListener('visibilitychange', visible);
  if (isOffline()) tell('offline');
  return () => {
    removeEventListener('online', online);
    removeEventListener('offline', offline);
    removeEventListener('pageshow', visible);
    page?.removeEventListener('resume', visible);
    page?.removeEventListener('visibilitychange', visible);
  };
}

function isOffline(): boolean {
  return typeof navigator !== 'undefined' && navigator.onLine === false;
}
