/** Where lines for people go: Nest's `Logger` in an app, `console` elsewhere. */
export interface RealtimeLogger {
  log(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

const nothing = (): void => undefined;
export const noLogger: RealtimeLogger = { log: nothing, warn: nothing, error: nothing };
