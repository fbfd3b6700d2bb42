import { systemClock, type Clock } from '../core/clock.js';
import type { Lifecycle } from '../core/lifecycle.js';
import { noLogger, type RealtimeLogger } from '../core/logger.js';
import { noMetrics, type RealtimeMetrics } from '../core/metrics.js';
import { PendingCommands } from './pending-commands.js';
import { PublishBundles } from './publish-bundles.js';
import { createWireClients, describeAddress } from './redis-clients.js';
import { RedisLink } from './redis-link.js';
import { resolveRedisOptions, type RedisOptions, type ResolvedRedisOptions } from './redis-options.js';
import { RedisUnavailableError } from './redis-unavailable-error.js';
import { checkServer } from './check-server.js';
import { Refusals } from './refusals.js';
import type { RedisScript, ScriptRunner } from './script-runner.js';
import type { WireClient, WireClients, WireCommand } from './wire-client.js';

/** For answers on their way when the connection is closed: a few round trips, not a hung server's time. */
const CLOSE_WITHIN_MS = 1_000;

export interface RedisConnectionDeps {
  clock?: Clock | undefined;
  metrics?: RealtimeMetrics | undefined;
  /** Default: nobody is told. */
  logger?: RealtimeLogger | undefined;
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
  readonly logger: RealtimeLogger;
  /** Makes clients of this Redis, also for other connections to it: what they know of it is shared. */
  readonly clients: WireClients;
  /** What the server says no with, and how long boot waits for it. */
  readonly refusals: Refusals;
  readonly #pending: PendingCommands;
  readonly #bundles = new PublishBundles((channel, message) => this.command('PUBLISH', channel, message));
  readonly #link: RedisLink;
  readonly #listeners = new Set<(isUp: boolean) => void>();
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
    this.logger = deps.logger ?? noLogger;
    const { connectTimeoutMs, required } = this.options;
    const { clock, logger, address } = this;
    this.refusals = new Refusals({ clock, logger, address, connectTimeoutMs, required });
    this.#pending = new PendingCommands({
      clock: this.clock,
      timeoutMs: this.options.commandTimeoutMs,
      maxQueued: this.options.maxQueuedCommands,
      onSettled: (seconds, isOk) => this.metrics.redisCommand(seconds, isOk),
      onRefused: (client, error) => this.#refused(client, error),
    });
    this.clients = createWireClients(this.options, this.clock);
    this.#link = new RedisLink(this.options, this.clock, {
      create: () => this.clients.create('commands'),
      follow: (onMoved) => this.clients.watch(onMoved),
      watch: true,
      on: {
        up: (client) => this.#up(client),
        down: () => this.#down(),
        whole: () => this.#tellUp(),
        error: (error) => this.#failed(error),
      },
    });
  }

  /** Whether commands are sent at once now. A hung server is noticed within `probeTimeoutMs`. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Every server that publishes for us: one, or each master of a Redis Cluster. Empty while Redis is away. */
  get shards(): WireClient['shards'] {
    return this.#link.client?.shards ?? [];
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
    this.#bundles.flush();
    // Deferred, so that `#closing` is set before anything below is told to end.
    this.#closing ??= Promise.resolve().then(() => this.#close());
    return this.#closing;
  }

  command(...args: readonly string[]): Promise<unknown> {
    return this.#add({ key: args[1], args });
  }

  run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.#add({ key: keys[0], args: [String(keys.length), ...keys, ...args], script });
  }

  /** PUBLISH, of which those of one go to one channel share one command; read by `unbundle`. In order with all other calls. */
  publish(channel: string, payload: string): Promise<unknown> {
    // Without Redis each waits for itself, so that `maxQueuedCommands` bounds what waits in publications, too.
    return this.#isUp ? this.#bundles.publish(channel, payload) : this.command('PUBLISH', channel, payload);
  }

  async #close(): Promise<void> {
    this.#onFirst?.();
    if (this.#isUp) await this.#pending.drained(CLOSE_WITHIN_MS);
    this.#link.close();
    this.#pending.clear('the connection was closed');
    this.#listeners.clear();
  }

  #add(command: WireCommand): Promise<unknown> {
    this.#bundles.flush();
    if (this.#closing !== undefined) {
      const cause = new Error('the connection was closed');
      return Promise.reject(new RedisUnavailableError({ maybeWritten: false, cause }));
    }
    if (this.#opening === undefined) this.ready().catch(() => undefined);
    return this.#pending.add(command);
  }

  /** A demoted master: the address may lead to another server by now. */
  #refused(client: WireClient, error: unknown): void {
    this.refusals.note(error);
    const isDemoted = error instanceof Error && error.message.startsWith('READONLY');
    if (!isDemoted || this.#link.client !== client) return;
    this.#tellDown(error);
    this.#link.replace();
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

  #up(client: WireClient): void {
    this.#isUp = true;
    this.#tellUp();
    this.#pending.use(client);
    this.#onFirst?.();
    for (const listener of this.#listeners) listener(true);
    if (this.#isServerChecked) return;
    this.#isServerChecked = true;
    const warn = (lines: string[]): void => lines.forEach((line) => this.logger.warn(line));
    void checkServer({ shards: client.shards, options: this.options }, this.clock.unixNow()).then(warn);
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

  #tellUp(): void {
    if (this.#wasToldDown) this.logger.log(`Redis is back at ${this.address}`);
    this.#wasToldDown = false;
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
