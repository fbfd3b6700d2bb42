import type { EventEmitter } from 'node:events';
import type { Socket as NetSocket } from 'node:net';
import type { Extension } from './compression.js';
import type { Observed } from './engine-observers.js';
import type { FrameParts } from './frame-sequence.js';

// What is used of `ws` and Engine.IO beyond their types, where messages are written. Pinned in test/contract/engine-io.spec.ts.

export type Data = string | ArrayBufferView | ArrayBuffer;
export type Callback = (error?: Error | null) => void;
/** Header and payload; short text is still a string. */
export type WsFrame = readonly [header: Buffer, payload?: Buffer | string];

export interface WsSender {
  sendFrame(frame: WsFrame, callback?: Callback): void;
}

export interface WsInternals extends EventEmitter {
  readonly readyState: number;
  readonly _extensions: { readonly 'permessage-deflate'?: Extension };
  readonly _sender: WsSender;
  readonly _socket: NetSocket;
  setSocket(socket: NetSocket, head: Buffer, options: object): void;
  emitClose(): void;
  terminate(): void;
}

export interface EngineTransport extends EventEmitter {
  writable: boolean;
  readonly supportsBinary: boolean;
  readonly socket?: unknown;
}

export interface EngineSocket extends Observed {
  readonly readyState: string;
  readonly protocol: number;
  readonly transport: EngineTransport;
  readonly writeBuffer: readonly unknown[];
  send(data: Data, options?: WriteOptions, callback?: Callback): this;
  write: EngineSocket['send'];
}

export interface WriteOptions {
  readonly wsPreEncodedFrame?: FrameParts;
  readonly preEncoded?: boolean;
  readonly volatile?: boolean;
  readonly compress?: boolean;
}
