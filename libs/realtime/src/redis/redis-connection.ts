import { Logger } from '@nestjs/common';
import { systemClock, type Clock } from '../core/clock.js';
import type { Lifecycle } from '../core/lifecycle.js';
import { noMetrics, type RealtimeMetrics } from '../core/metrics.js';
import { PendingCommands } from './pending-commands.js';
import { describeAddress, type WireClient } from './redis-clients.js';
import { RedisLink } from './redis-link.js';
import { resolveRedisOptions, type RedisOptions, type ResolvedRedisOptions } from './redis-options.js';
import { RedisUnavailableError } from './redis-unavailable-error.js';
import { checkServer } from './check-server.js';
import type { RedisScript, ScriptRunner } from './script-runner.js';

/** For answers on their way when the connection is closed: a few round trips, not a hung server's time. */
const CLOSE_WITHIN_MS = 1_000;

export interface RedisConnectionDeps {
  clock?: Clock | undefined;
  metrics?: RealtimeMetrics | undefined;
  logger?: Pick<Logger, 'log' | 'warn' | 'error'> | undefined;
}

/**
 * The connection for commands and scripts: every command is answered or refused within `commandTimeoutMs`, at most
 * `maxQueuedCommands` wait, and losing Redis throws nowhere. Refuses subscriptions (`RedisBus` has its own connection)
 * and repeats nothing by itself. Errors are logged once for each change of state.
 */
export class RedisConnection implements ScriptRunner, Lifecycle {
  readonly options: ResolvedRedisOptions;
  readonly keyPrefix: string;
  /** Host and port, for messages. */
  readonly address: string;
  readonly clock: Clock;
  readonly metrics: RealtimeMetrics;
  readonly logger: Pick<Logger, 'log' | 'warn' | 'error'>;
  readonly #pending: PendingCommands;
  readonly #link: RedisLink;
  readonly #listeners = new Set<(isUp: boolean) => void>();
  /** Scripts that this client has sent whole; Redis knows them from then on. */
  #loaded = new WeakMap<WireClient, Set<string>>();
  #opening: Promise<void> | undefined;
  #isUp = false;
  #wasToldDown = false;
  #isServerChecked = false;
  #closing: Promise<void> | undefined;
  #onFirst: ((error?: Error) => void) | undefined;

  constructor(options: RedisOptions, deps: RedisConnectionDeps = {}) {
    this.options = resolveRedisOptions(options);
    this.keyPrefix = this.options.keyPrefix;
    this.address = describeAddress(this.options);
    this.clock = deps.clock ?? systemClock;
    this.metrics = deps.metrics ?? noMetrics;
    this.logger = deps.logger ?? new Logger('Realtime');
    this.#pending = new PendingCommands({
      clock: this.clock,
      timeoutMs: this.options.commandTimeoutMs,
      maxQueued: this.options.maxQueuedCommands,
      onSettled: (seconds, isOk) => this.metrics.redisCommand(seconds, isOk),
    });
    this.#link = new RedisLink(this.options, this.clock, {
      watch: true,
      on: { up: (client) => this.#up(client), down: () => this.#down(), error: (error) => this.#failed(error) },
    });
  }

  /** Whether commands are sent at once now. A hung server is noticed within `probeTimeoutMs`. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Commands that wait for Redis or for its answer. */
  get queued(): number {
    return this.#pending.size;
  }

  /** Returns its own removal. */
  onState(listener: (isUp: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Connects at the first call. Resolves when connected; if Redis cannot be reached it resolves too (`isUp` is false) and
   * goes on trying, except with `required`: then it rejects after `connectTimeoutMs`.
   */
  ready(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** Waits up to a second for answers that are on their way; refuses everything else at once. */
  close(): Promise<void> {
    // Deferred, so that `#closing` is set before anything below is told to end.
    this.#closing ??= Promise.resolve().then(() => this.#close());
    return this.#closing;
  }

  command(...args: readonly string[]): Promise<unknown> {
    return this.#add((client) => client.send(args[1], args));
  }

  run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    return this.#add((client) => {
      const loaded = this.#loadedOn(client);
      // The first call sends the script itself: a NOSCRIPT answer would let later calls of the same turn overtake it.
      const isKnown = loaded.has(script.sha1);
      loaded.add(script.sha1);
      if (!isKnown) return client.send(keys[0], ['EVAL', script.lua, ...rest]);
      return client.send(keys[0], ['EVALSHA', script.sha1, ...rest]).catch((error: unknown) => {
        const isUnknown = error instanceof Error && error.message.startsWith('NOSCRIPT');
        if (!isUnknown) throw error;
        return client.send(keys[0], ['EVAL', script.lua, ...rest]);
      });
    });
  }

  async #close(): Promise<void> {
    this.#onFirst?.();
    if (this.#isUp) await this.#pending.drained(CLOSE_WITHIN_MS);
    this.#link.close();
    this.#pending.clear('the connection was closed');
    this.#listeners.clear();
  }

  async #add(send: (client: WireClient) => Promise<unknown>): Promise<unknown> {
    if (this.#closing !== undefined) {
      throw new RedisUnavailableError({ maybeWritten: false, cause: new Error('the connection was closed') });
    }
    void this.ready().catch(() => undefined);
    return this.#pending.add((client) => send(client).catch((error: unknown) => this.#refused(client, error)));
  }

  #refused(client: WireClient, error: unknown): never {
    // A demoted master: the address may lead to another server by now.
    const isDemoted = error instanceof Error && error.message.startsWith('READONLY');
    if (isDemoted && this.#link.client === client) this.#link.replace();
    throw error;
  }

  #open(): Promise<void> {
    if (this.#closing !== undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let lastError: Error | undefined;
      const { required, connectTimeoutMs } = this.options;
      const finish = (isTimeout: boolean): void => {
        cancel();
        this.#onFirst = undefined;
        if (!isTimeout || !required) return resolve();
        const because = lastError === undefined ? '' : `: ${reasonOf(lastError)}`;
        reject(new Error(`Redis is not reachable at ${this.address} within ${connectTimeoutMs} ms${because}`));
        void this.close();
      };
      const cancel = this.clock.after(connectTimeoutMs, () => {
        this.#tellDown(lastError);
        finish(true);
      });
      this.#onFirst = (error) => {
        lastError = error;
        if (error === undefined || !required) finish(false);
      };
      this.#link.open();
    });
  }

  #loadedOn(client: WireClient): Set<string> {
    let loaded = this.#loaded.get(client);
    if (loaded === undefined) this.#loaded.set(client, (loaded = new Set()));
    return loaded;
  }

  #up(client: WireClient): void {
    // The server may be another one, or may have restarted: it need not know any script.
    this.#loaded = new WeakMap();
    this.#isUp = true;
    if (this.#wasToldDown) this.logger.log(`Redis is back at ${this.address}`);
    this.#wasToldDown = false;
    this.#pending.use(client);
    this.#onFirst?.();
    for (const listener of this.#listeners) listener(true);
    if (this.#isServerChecked) return;
    this.#isServerChecked = true;
    void checkServer(this, this.clock.unixNow()).then((warnings) => warnings.forEach((line) => this.logger.warn(line)));
  }

  #down(): void {
    this.#isUp = false;
    this.#pending.use(undefined);
    if (this.#closing !== undefined) return;
    this.#tellDown();
    for (const listener of this.#listeners) listener(false);
  }

  #failed(error: Error): void {
    this.metrics.dropped('redis-error');
    this.#tellDown(error);
    this.#onFirst?.(error);
  }

  #tellDown(error?: Error): void {
    if (this.#wasToldDown || this.#closing !== undefined) return;
    this.#wasToldDown = true;
    const because = error === undefined ? '' : ` (${reasonOf(error)})`;
    this.logger.warn(`Redis is not reachable at ${this.address}${because}: running degraded, will keep trying`);
  }
}

/** A refused connection to several addresses is an AggregateError without a message. */
function reasonOf(error: Error): string {
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}
