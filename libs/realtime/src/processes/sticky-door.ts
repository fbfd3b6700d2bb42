import cluster from 'node:cluster';
import { EventEmitter, once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { connectionLimit } from '../core/file-descriptors.js';
import type { StickyPackage } from './sticky-package.js';

/** Milliseconds after which a connection that says nothing is closed, as workers do. Once it has spoken, its worker watches it. */
const SILENT_MS = 10_000;
const UNAVAILABLE = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/**
 * The port of all workers, held by the primary, which reads the first bytes of each connection and passes it on:
 * `@socket.io/sticky` finds the worker of its session, or one with few clients. It answers nothing itself, but 503 while
 * nobody serves. Invariant: no connection goes to a worker that does not take it yet.
 */
export class StickyDoor {
  private readonly serving = new Set<number>();

  static async open(sticky: StickyPackage, port: number, host: string | undefined): Promise<StickyDoor> {
    // Buffers as they are, not as JSON: bodies of requests go through the channel to the worker.
    cluster.setupPrimary({ serialization: 'advanced' });
    const requests = new EventEmitter();
    sticky.setupMaster(requests, { loadBalancingMethod: 'least-connection' });
    const server = createServer({ noDelay: true });
    const maxConnections = connectionLimit();
    if (maxConnections !== undefined) server.maxConnections = maxConnections;
    const door = new StickyDoor(server, requests);
    server.listen({ port, ...(host === undefined ? {} : { host }) });
    await once(server, 'listening');
    return door;
  }

  private constructor(
    private readonly server: Server,
    private readonly requests: EventEmitter,
  ) {
    server.on('connection', (socket) => this.accept(socket));
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Until `admit`, a new worker would be the one with the fewest clients, and lose what it gets. */
  prepare(id: number): void {
    setClients(id, Number.POSITIVE_INFINITY);
  }

  admit(id: number): void {
    this.serving.add(id);
    setClients(id, 0);
  }

  /** A dead worker stays in node:cluster's list until its channel is closed as well. */
  dismiss(id: number): void {
    this.serving.delete(id);
    setClients(id, Number.POSITIVE_INFINITY);
  }

  /** For the end: clients that poll come through it with each request, also while workers drain. */
  close(): void {
    this.server.close();
  }

  private accept(socket: Socket): void {
    // A worker that has ended answers no request whose bytes went through this process: its client must not hold the primary,
    // which closes the connection by ending. A worker gets a handle of its own, which holds it.
    socket.unref();
    socket.on('error', () => socket.destroy());
    socket.setTimeout(SILENT_MS, () => socket.destroy());
    // Browsers open connections long before they use them: the worker is chosen when there is something to read.
    socket.once('readable', () => {
      socket.setTimeout(0);
      if (this.serving.size > 0) this.requests.emit('connection', socket);
      else socket.resume().end(UNAVAILABLE);
    });
  }
}

/** What `@socket.io/sticky` counts by, and compares workers with. Pinned in test/e2e/many-cores. */
function setClients(id: number, count: number): void {
  const worker = cluster.workers?.[id] as { clientsCount?: number } | undefined;
  if (worker) worker.clientsCount = count;
}
