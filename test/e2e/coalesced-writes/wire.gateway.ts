import type { Socket as NetSocket } from 'node:net';
import type { Type } from '@nestjs/common';
import { SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import type { RealtimeOptions } from 'nestjs-realtime';
import type { Server, Socket } from 'socket.io';
import { bootApp, type TestApp } from '../../support/app.js';
import { mintToken } from '../../support/tokens.js';
import { WireClient, type WireOptions } from '../../support/wire-client.js';

@WebSocketGateway()
export class WireGateway {
  @WebSocketServer()
  server!: Server;

  /** Requests that the test answers. */
  readonly asked: { readonly id: string; readonly ack: (answer: unknown) => void }[] = [];

  handleConnection(socket: Socket): void {
    void socket.join(['room', `half/${this.server.sockets.sockets.size % 2}`]);
  }

  @SubscribeMessage('echo')
  echo(_: Socket, data: unknown): unknown {
    return data;
  }

  @SubscribeMessage('ask')
  ask(_: Socket, data: { id: string }): Promise<unknown> {
    return new Promise((ack) => this.asked.push({ id: data.id, ack }));
  }
}

export interface WireApp extends AsyncDisposable {
  readonly app: TestApp;
  readonly gateway: WireGateway;
  readonly server: Server;
  /** A client, and its socket on the server. */
  client(name?: string, options?: Omit<WireOptions, 'auth'>): Promise<Connected>;
}

export interface Connected extends Disposable {
  readonly wire: WireClient;
  readonly socket: Socket;
  /** The server's end of the TCP connection. */
  readonly tcp: NetSocket;
}

/** A test that takes long would find pings among its frames, and its clients answer none. */
const NEVER = { intervalMs: 3_600_000, timeoutMs: 3_600_000 };

export async function wireApp(
  realtime: Partial<RealtimeOptions> = {},
  providers: readonly Type[] = [],
): Promise<WireApp> {
  const app = await bootApp({ providers: [WireGateway, ...providers], realtime: { heartbeat: NEVER, ...realtime } });
  const gateway = app.app.get(WireGateway);
  return {
    app,
    gateway,
    server: gateway.server,
    client: async (name = 'ada', options = {}) => {
      const wire = await WireClient.connected(app.url, { auth: { token: mintToken(name) }, ...options });
      // Both come after `handleConnection`.
      wire.send('420["echo",0]');
      await wire.got((text) => text === '430[0]');
      const sid = (JSON.parse(wire.texts.find((text) => text.startsWith('40'))?.slice(2) ?? '{}') as { sid: string })
        .sid;
      const socket = gateway.server.sockets.sockets.get(sid) as Socket;
      wire.frames.splice(0);
      return { wire, socket, tcp: socket.request.socket, [Symbol.dispose]: () => wire[Symbol.dispose]() };
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

/** Engine.IO's and `ws`'s own, below Socket.IO. */
export interface Engine {
  readonly transport: { writable: boolean; readonly socket: { terminate(): void; readonly readyState: number } };
  readonly writeBuffer: readonly unknown[];
  sendPacket(type: string): void;
  send(data: string, options: object, callback: () => void): void;
  on(event: string, listener: (...args: unknown[]) => void): void;
  off(event: string, listener: (...args: unknown[]) => void): void;
}

export function engineOf(socket: Socket): Engine {
  return socket.conn as unknown as Engine;
}

/** What is kept in the process for a client, in bytes: below Socket.IO, in turns, and in the TCP socket. */
export function keptFor({ socket, tcp }: Pick<Connected, 'socket' | 'tcp'>): number {
  const { writeBuffer } = engineOf(socket);
  const queued = (writeBuffer as { data?: string }[]).reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
  return queued + tcp.writableLength;
}

/** What is written to a TCP connection from now on: one entry for each system call, whoever makes it. */
export function watchWrites(tcp: NetSocket): Buffer[][] {
  const writes: Buffer[][] = [];
  const { _handle: handle } = tcp as unknown as { _handle: Handle };
  const { writeBuffer, writev } = handle;
  Object.assign(handle, {
    writeBuffer(request: object, chunk: Buffer) {
      writes.push([chunk]);
      return writeBuffer.call(handle, request, chunk);
    },
    writev(request: object, chunks: Buffer[], isAllBuffers: boolean) {
      writes.push(chunks);
      return writev.call(handle, request, chunks, isAllBuffers);
    },
  });
  return writes;
}

/** Below Node's streams. */
interface Handle {
  writeBuffer(request: object, chunk: Buffer): number;
  writev(request: object, chunks: Buffer[], isAllBuffers: boolean): number;
}
