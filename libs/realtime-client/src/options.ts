import type { ManagerOptions, SocketOptions } from 'socket.io-client';

export interface RealtimeClientOptions {
  /** A valid token: called before every connect and before the current token expires. A rejection is retried. */
  getToken: () => string | undefined | Promise<string | undefined>;
  /** A label for this tab or app. Default: random. */
  device?: string;
  /** Anything else that socket.io-client understands, such as `path` or `extraHeaders`. */
  socket?: Partial<ManagerOptions & SocketOptions>;
  /** Told every change of state, and what goes wrong in the background. */
  debug?: (message: string, details?: unknown) => void;
}
