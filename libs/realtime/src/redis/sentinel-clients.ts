import type { Clock } from '../core/clock.js';
import { connectWithin, createNodeClient, type NodeClient } from './node-client.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import { SentinelDirectory } from './sentinel-directory.js';
import type { WireClient, WireClients, WireEvents } from './wire-client.js';

/** Clients of the master that the sentinels name. Each ends with its connection: the next one asks again who is master. */
export function sentinelClients(
  options: ResolvedRedisOptions,
  sentinels: NonNullable<ResolvedRedisOptions['address']['sentinel']>,
  clock: Clock,
): WireClients {
  const directory = new SentinelDirectory(options, sentinels, clock);
  return {
    create: () => new MasterClient(options, directory, clock),
    watch: (onMoved) => directory.watch(onMoved),
  };
}

class MasterClient implements WireClient {
  readonly #options: ResolvedRedisOptions;
  readonly #directory: SentinelDirectory;
  readonly #clock: Clock;
  readonly #listeners: WireEvents[] = [];
  #node: NodeClient | undefined;
  #isDestroyed = false;
  #isProven = false;

  constructor(options: ResolvedRedisOptions, directory: SentinelDirectory, clock: Clock) {
    this.#options = options;
    this.#directory = directory;
    this.#clock = clock;
  }

  get isReady(): boolean {
    return this.#isProven && this.#node?.isReady === true;
  }

  get shards(): WireClient['shards'] {
    return this.#connected.shards;
  }

  get raw(): WireClient['raw'] {
    return this.#connected.raw;
  }

  async connect(): Promise<void> {
    const address = await this.#directory.find();
    if (this.#isDestroyed) return;
    const node = createNodeClient(this.#options, { clock: this.#clock, address, reconnects: false });
    this.#node = node;
    node.listen({
      // Ready only once it has said that it is a master.
      change: (isReady) => isReady || this.#tell((events) => events.change(false)),
      error: (error) => this.#tell((events) => events.error(error)),
      end: () => this.#tell((events) => events.end()),
      lost: (channel) => this.#tell((events) => events.lost(channel)),
    });
    await connectWithin(node, this.#clock, this.#options.probeTimeoutMs);
    // Sentinels lag behind; a demoted master would take what is published and keep it to itself.
    const role = await node.send({ args: ['ROLE'] }).catch(() => undefined);
    if (Array.isArray(role) && role[0] !== 'master') throw new Error(`${node.shards[0]?.name} is not a master`);
    this.#isProven = true;
  }

  listen(events: WireEvents): void {
    this.#listeners.push(events);
  }

  send(command: Parameters<WireClient['send']>[0]): Promise<unknown> {
    return this.#node === undefined ? Promise.reject(new Error('not connected')) : this.#node.send(command);
  }

  publish(channel: string, message: string | Buffer): Promise<unknown> {
    return this.#connected.publish(channel, message);
  }

  sPublish(channel: string, message: string | Buffer): Promise<unknown> {
    return this.#connected.sPublish(channel, message);
  }

  subscribe(...args: Parameters<WireClient['subscribe']>): Promise<void> {
    return this.#connected.subscribe(...args);
  }

  unsubscribe(channels: readonly string[]): Promise<void> {
    return this.#connected.unsubscribe(channels);
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#node?.destroy();
  }

  /** Who uses a client does so only while it is ready. */
  get #connected(): NodeClient {
    if (this.#node === undefined) throw new Error('not connected');
    return this.#node;
  }

  #tell(what: (events: WireEvents) => void): void {
    for (const events of this.#listeners) what(events);
  }
}
