/** What a Nest app has; written down here, so that the primary need not load Nest. */
export interface ListeningApp {
  listen(where: unknown, host?: string): Promise<unknown>;
  getHttpServer(): unknown;
  get(token: symbol): unknown;
}

/** What `start` is given, in each worker. */
export interface RealtimeWorker {
  /** From 1 to `workers`; whoever replaces a dead worker takes over its number. For ports and names that differ by worker. */
  readonly index: number;
  readonly workers: number;
  /** Call it instead of `app.listen()`: the app takes its share of the connections to the port of all workers. */
  readonly listen: (app: ListeningApp) => Promise<void>;
}

/** Worker to primary: it takes connections from now on. */
export const SERVING = 'nestjs-realtime:serving';
