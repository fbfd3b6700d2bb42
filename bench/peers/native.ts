import { createRequire } from 'node:module';

/** As much of uWebSockets.js as the peer uses. */
export interface NativeApp {
  ws(pattern: string, behavior: NativeBehavior): this;
  publish(topic: string, message: string, isBinary: boolean): boolean;
  listen(host: string, port: number, done: (token: unknown) => void): this;
}

export interface NativeSocket {
  send(message: string, isBinary: boolean): number;
  subscribe(topic: string): boolean;
  unsubscribe(topic: string): boolean;
}

interface NativeBehavior {
  readonly maxBackpressure: number;
  message(socket: NativeSocket, message: ArrayBuffer): void;
}

export interface Native {
  App(): NativeApp;
  us_socket_local_port(token: unknown): number;
}

const PACKAGE = '@trufflesuite/uws-js-unofficial';

/**
 * uWebSockets.js is not on npm. This package ships its binaries, for Node 16, 18 and 20; elsewhere it would fall back to a
 * rewrite in JavaScript, which must not be measured under that name.
 * @throws Error if it is not installed, or has no binary for this Node.
 */
export function loadNative(): Native {
  const folder = new URL('../../../bench/native/', import.meta.url);
  const require = createRequire(folder);
  const { platform, arch, versions } = process;
  return require(`${PACKAGE}/binaries/uws_${platform}_${arch}_${versions.modules}.node`) as Native;
}

export function hasNative(): boolean {
  try {
    loadNative();
    return true;
  } catch {
    return false;
  }
}
