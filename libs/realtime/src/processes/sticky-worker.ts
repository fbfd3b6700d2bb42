import { SOCKET_SERVERS } from '../core/socket-servers.js';
import type { ListeningApp } from './realtime-worker.js';
import { loadSticky } from './sticky-package.js';

interface SocketServer {
  readonly httpServer: unknown;
  readonly engine: { on(event: string, listener: (socket: never) => void): void };
}

/**
 * Takes the connections that the primary passes on. The server listens, too, on a port of its own that only this machine
 * reaches: without it, Node watches no timeouts of slow requests, and Fastify has no routes.
 */
export async function listenSticky(app: ListeningApp): Promise<void> {
  const sticky = await loadSticky();
  await app.listen({ port: 0, host: '127.0.0.1', exclusive: true });
  const httpServer = app.getHttpServer();
  const all = (app.get(SOCKET_SERVERS) as () => readonly SocketServer[])();
  const servers = all.filter((server) => server.httpServer === httpServer);
  // One call for all servers on one HTTP server (gateways with paths of their own): each would take in every connection.
  sticky.setupWorker({
    httpServer,
    engine: { on: (event, listener) => servers.forEach(({ engine }) => engine.on(event, listener)) },
  });
}
