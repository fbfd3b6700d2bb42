import type { Server } from 'socket.io';
import type { RealtimeMetrics } from '../core/metrics.js';
import { coalescedBytes } from './turn-socket.js';

export interface SendBufferWatchDeps {
  readonly decide: (buffer: Waiting, bytes: number) => 'send' | 'terminate';
  readonly metrics: Pick<RealtimeMetrics, 'dropped'>;
}

interface Waiting {
  readonly waitingBytes: number;
  readonly waitingMessages: number;
}

interface Packet {
  readonly data?: string | ArrayBufferView | undefined;
}

/** What is used of Engine.IO's socket. Pinned in test/e2e/slow-consumer.spec.ts. */
interface EngineTransport {
  readonly writeBuffer: readonly unknown[];
  readonly transport: { readonly writable: boolean; readonly socket?: { terminate?: () => void } };
  on(event: 'packetCreate', listener: (this: EngineTransport, packet: Packet) => void): unknown;
  close(discard: boolean): void;
  [BYTES]?: number;
}

const BYTES = Symbol('nestjs-realtime:waiting-bytes');

/** What waits in our process for the transport's client. */
export function waitingBytesOf(transport: object): number {
  const { writeBuffer, [BYTES]: bytes = 0 } = transport as EngineTransport;
  return writeBuffer.length === 0 ? 0 : bytes;
}

/**
 * Bounds what waits in memory for a client that reads slowly: beyond the limit its transport is terminated at once, because
 * a goodbye could not get through. The client reconnects. Volatile messages are left out by Socket.IO while anything waits.
 * One listener function for all transports; a client that keeps up costs one comparison a packet.
 */
export class SendBufferWatch {
  private readonly onPacket: (this: EngineTransport, packet: Packet) => void;

  constructor(deps: SendBufferWatchDeps) {
    this.onPacket = function (this: EngineTransport, packet: Packet) {
      if (this.transport.writable) return;
      const bytes = sizeOf(packet);
      const queued = waitingBytesOf(this);
      // Behind what is being sent one message may wait, however large.
      const waitingBytes = queued === 0 ? 0 : queued + coalescedBytes(this.transport);
      this[BYTES] = queued + bytes;
      const buffer = { waitingBytes, waitingMessages: this.writeBuffer.length };
      if (deps.decide(buffer, bytes) !== 'terminate') return;
      deps.metrics.dropped('slow-consumer');
      terminate(this);
    };
  }

  install(server: Server): void {
    server.engine.on('connection', (transport: EngineTransport) => transport.on('packetCreate', this.onPacket));
  }
}

/** A UTF-16 length is at most a third of the bytes off, and costs nothing. */
function sizeOf({ data }: Packet): number {
  if (typeof data === 'string') return data.length;
  return data?.byteLength ?? 0;
}

/** Engine.IO's own close waits for the buffer to drain; a WebSocket can be cut. */
function terminate(transport: EngineTransport): void {
  const { socket } = transport.transport;
  if (socket?.terminate) socket.terminate();
  else transport.close(true);
}
