import type { LoggerService } from '@nestjs/common';
import type { ErrorContext } from 'nestjs-realtime';
import { bootApp, type TestApp, type TestAppOptions } from '../../support/app.js';
import { connectedClient, type StockClient } from '../../support/inbox.js';
import { RawClient } from '../../support/raw-client.js';
import { mintToken } from '../../support/tokens.js';

/** Everything that the app logs, a line each, whatever its level. */
export class LogCapture implements LoggerService {
  readonly lines: string[] = [];

  log = (...parts: unknown[]): void => this.take(parts);
  error = (...parts: unknown[]): void => this.take(parts);
  warn = (...parts: unknown[]): void => this.take(parts);
  debug = (...parts: unknown[]): void => this.take(parts);
  verbose = (...parts: unknown[]): void => this.take(parts);
  fatal = (...parts: unknown[]): void => this.take(parts);

  /** Lines since the last call. */
  drain(): string[] {
    return this.lines.splice(0);
  }

  private take(parts: unknown[]): void {
    this.lines.push(parts.map(String).join(' '));
  }
}

export interface Reported extends ErrorContext {
  readonly error: unknown;
}

/** A handler that acks anything, in a namespace that the well-behaved client may open. */
export interface Witness {
  readonly namespace: string;
  readonly event: string;
  /** Default: one of `mintToken`. */
  readonly token?: string;
}

/**
 * An app under attack, with a second client that behaves. After each case call `survives`: the well-behaved client still
 * gets its ack, nothing was polluted, and a turn of the event loop has passed in which an unhandled rejection or an
 * uncaught exception would have failed the running test (Jest listens to both).
 */
export class HostileApp implements AsyncDisposable {
  readonly log = new LogCapture();

  private constructor(
    readonly node: TestApp,
    /** What `onError` has heard of. */
    readonly reported: Reported[],
    private readonly witness: { client: StockClient; event: string },
  ) {}

  static async boot(options: TestAppOptions, witness: Witness): Promise<HostileApp> {
    const reported: Reported[] = [];
    const onError = (error: unknown, context: ErrorContext): void => void reported.push({ error, ...context });
    const node = await bootApp({ ...options, realtime: { onError, ...options.realtime } });
    const client = await connectedClient(`${node.url}${witness.namespace}`, {
      auth: { token: witness.token ?? mintToken('witness') },
    });
    const hostile = new HostileApp(node, reported, { client, event: witness.event });
    node.app.useLogger(hostile.log);
    return hostile;
  }

  get url(): string {
    return this.node.url;
  }

  raw(namespace: string, user = 'mallory'): Promise<RawClient> {
    return RawClient.connected(this.url, namespace, { token: mintToken(user) });
  }

  async survives(): Promise<void> {
    expect(await this.witness.client.ask(this.witness.event, { fine: true })).toBeDefined();
    await new Promise((resolve) => setImmediate(resolve));
    expect(this.witness.client.socket.connected).toBe(true);
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.witness.client[Symbol.asyncDispose]();
    await this.node[Symbol.asyncDispose]();
  }
}

/** What a refusal looks like on the wire: a code, a text, and nothing else. */
export function refusal(code: string): unknown {
  return { error: { code, message: expect.any(String) as unknown, retryable: expect.any(Boolean) as unknown } };
}
