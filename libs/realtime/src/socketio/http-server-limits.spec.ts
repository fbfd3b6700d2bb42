import { createServer, type Server, type ServerOptions } from 'node:http';
import { HttpServerLimits } from './http-server-limits.js';

interface Settings {
  readonly headersTimeout: number;
  readonly connectionsCheckingInterval: number;
  readonly maxConnections: number | undefined;
}

function settingsAfter(given: ServerOptions & { maxConnections?: number }, headersWithinMs = 10_000): Settings {
  const { maxConnections, ...options } = given;
  const server: Server = createServer(options);
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  const told = { onDropped: () => undefined, onTooSlow: () => undefined };
  const limits = new HttpServerLimits({ headersWithinMs, maxConnections: 900, ...told });
  limits.install(server);
  limits.install(server);
  expect(server.listenerCount('drop')).toBe(1);
  const { headersTimeout, connectionsCheckingInterval } = server as unknown as Settings;
  return { headersTimeout, connectionsCheckingInterval, maxConnections: server.maxConnections };
}

describe('when an HTTP server is limited', () => {
  it.each([
    ['all of it, where the app has set nothing', {}, [10_000, 1_000, 900]],
    ["not the app's timeout", { headersTimeout: 20_000 }, [20_000, 1_000, 900]],
    ["not the app's interval", { connectionsCheckingInterval: 5_000 }, [10_000, 5_000, 900]],
    ["not the app's number of connections", { maxConnections: 5 }, [10_000, 1_000, 5]],
  ])('sets %s', (_name, given, [headersTimeout, connectionsCheckingInterval, maxConnections]) =>
    expect(settingsAfter(given)).toEqual({ headersTimeout, connectionsCheckingInterval, maxConnections }),
  );

  it('checks more often when the deadline is short', () => {
    expect(settingsAfter({}, 300)).toMatchObject({ headersTimeout: 300, connectionsCheckingInterval: 30 });
  });
});
