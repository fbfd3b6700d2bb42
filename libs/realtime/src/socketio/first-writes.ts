import type { Socket as NetSocket } from 'node:net';
import type { WebSocketServer } from 'ws';

// A connection begins with two writes: the answer to its upgrade, and Engine.IO's first packet, which is written before the
// turn of the event loop ends. Here they are one system call.
// It relies on how `ws` completes an upgrade (pinned in test/contract/engine-io.spec.ts); where that is different, there are two.
// Invariant: nothing is held back longer than until the callbacks of this turn have run.

type Ready = (webSocket: object, request: object) => void;
type CompleteUpgrade = (...args: [...rest: unknown[], socket: NetSocket, head: Buffer, ready: Ready]) => void;

interface Upgrading {
  completeUpgrade?: CompleteUpgrade;
}

/** What the coalescing WebSocket has; others have written already. */
interface Flushing {
  flush?(): void;
}

export function joinFirstWrites(server: WebSocketServer): void {
  const { completeUpgrade } = server as unknown as Upgrading;
  if (typeof completeUpgrade !== 'function') return;
  (server as unknown as Upgrading).completeUpgrade = function (this: WebSocketServer, ...args) {
    if (!isNewConnection(args[3])) return completeUpgrade.apply(this, args);
    const ready = args.pop() as Ready;
    const [socket, head] = args.slice(-2) as [NetSocket, Buffer];
    socket.cork();
    let webSocket: Flushing | undefined;
    // After the microtasks: by then Engine.IO has made its connection, unless the app's own `generateId` takes longer.
    process.nextTick(() => {
      webSocket?.flush?.();
      socket.uncork();
    });
    completeUpgrade.call(this, ...args.slice(0, -2), socket, head, (opened: object, request: object) => {
      webSocket = opened;
      ready(opened, request);
    });
  };
}

/** Others may be refused right after the upgrade, with an answer that is lost in a socket that holds back. */
function isNewConnection(request: unknown): boolean {
  const { _query: query } = request as { _query?: Readonly<Record<string, unknown>> };
  return query?.['EIO'] === '4' && query['transport'] === 'websocket' && query['sid'] === undefined;
}
