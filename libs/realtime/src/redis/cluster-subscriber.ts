import type { Cancel, Clock } from '../core/clock.js';
import type { ClusterTopology } from './cluster-topology.js';
import { keySlot } from './key-slot.js';
import { connectWithin, createNodeClient, type NodeClient } from './node-client.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import type { BufferListener, NodeRedisSubscriber, WireClient, WireCommand, WireEvents } from './wire-client.js';

/** A channel's way may change this often before who asked for it has to try again. */
const MOVES = 5;

/**
 * Subscriptions in a Redis Cluster. Plain channels and patterns are on one master, chosen at random: every message crosses
 * the cluster bus to it. Sharded channels are each on the master of their slot. Refuses to mend anything: when one of its
 * connections breaks it ends, and the next one subscribes anew; a sharded channel whose slot moved is reported as lost.
 */
export class ClusterSubscriber implements WireClient {
  readonly #options: ResolvedRedisOptions;
  readonly #topology: ClusterTopology;
  readonly #clock: Clock;
  readonly #listeners: WireEvents[] = [];
  /** By address: those of sharded channels. */
  readonly #shardNodes = new Map<string, Promise<NodeClient>>();
  readonly #connected = new Set<NodeClient>();
  /** Sharded channel → the master that confirmed it. */
  readonly #placed = new Map<string, string>();
  #plain: NodeClient | undefined;
  #forgetTopology: () => void = () => undefined;
  #cancelLooking: Cancel = () => undefined;
  #isEnded = false;

  constructor(options: ResolvedRedisOptions, topology: ClusterTopology, clock: Clock) {
    this.#options = options;
    this.#topology = topology;
    this.#clock = clock;
  }

  readonly shards: WireClient['shards'] = [];

  get isReady(): boolean {
    return !this.#isEnded && this.#plain?.isReady === true;
  }

  get raw(): NodeRedisSubscriber {
    const { raw } = this.#require(this.#plain);
    return {
      subscribe: (...args) => raw.subscribe(...args),
      pSubscribe: (...args) => raw.pSubscribe(...args),
      unsubscribe: (channel) => raw.unsubscribe(channel),
      pUnsubscribe: (pattern) => raw.pUnsubscribe(pattern),
      sSubscribe: (channel, listener) => this.#sSubscribe(channel, listener),
      sUnsubscribe: (channel) => this.#sUnsubscribe(channel),
    };
  }

  async connect(): Promise<void> {
    await this.#topology.refresh();
    const masters = this.#topology.masters;
    const name = this.#require(masters[Math.floor(Math.random() * masters.length)]);
    this.#plain = await this.#open(name);
    this.#forgetTopology = this.#topology.onChange(() => this.#findLost());
  }

  listen(events: WireEvents): void {
    this.#listeners.push(events);
  }

  /** PING, to every connection. */
  async send(command: WireCommand): Promise<unknown> {
    const [reply] = await Promise.all([...this.#connected].map((node) => node.send(command)));
    return reply;
  }

  publish(): Promise<never> {
    return Promise.reject(new Error('this connection publishes nothing'));
  }

  sPublish(): Promise<never> {
    return this.publish();
  }

  subscribe(...args: Parameters<WireClient['subscribe']>): Promise<void> {
    return this.#require(this.#plain).subscribe(...args);
  }

  unsubscribe(channels: readonly string[]): Promise<void> {
    return this.#require(this.#plain).unsubscribe(channels);
  }

  destroy(): void {
    this.#isEnded = true;
    this.#forgetTopology();
    this.#cancelLooking();
    for (const node of this.#connected) node.destroy();
    this.#connected.clear();
    this.#placed.clear();
  }

  async #sSubscribe(channel: string, listener: BufferListener): Promise<void> {
    const slot = keySlot(channel);
    for (let moves = 0; ; moves += 1) {
      const name = this.#require(this.#topology.masterOf(slot));
      try {
        const node = await this.#shardNode(name);
        await node.raw.sSubscribe(channel, listener, true);
        this.#placed.set(channel, name);
        this.#look();
        // The slot may have left between the question and the answer.
        if (this.#topology.masterOf(slot) !== name) this.#lose(channel);
        return;
      } catch (error) {
        const [word, , to] = error instanceof Error ? error.message.split(' ') : [];
        if (word !== 'MOVED' || to === undefined || moves === MOVES) {
          void this.#topology.refresh().catch(() => undefined);
          throw error;
        }
        this.#topology.moved(slot, to);
      }
    }
  }

  async #sUnsubscribe(channel: string): Promise<void> {
    const name = this.#placed.get(channel);
    this.#placed.delete(channel);
    if (name === undefined) return;
    await (await this.#shardNode(name)).raw.sUnsubscribe(channel);
  }

  #shardNode(name: string): Promise<NodeClient> {
    let opening = this.#shardNodes.get(name);
    if (opening === undefined) {
      opening = this.#open(name);
      this.#shardNodes.set(name, opening);
      opening.catch(() => this.#shardNodes.delete(name));
    }
    return opening;
  }

  async #open(name: string): Promise<NodeClient> {
    const node = createNodeClient(this.#options, {
      clock: this.#clock,
      address: this.#topology.addressOf(name),
      reconnects: false,
    });
    node.listen({
      change: () => undefined,
      // Of a connection that was never made, who asked for it hears. One that breaks may have lost anything.
      error: (error) => this.#connected.has(node) && this.#end(error),
      end: () => this.#connected.has(node) && this.#end(new Error(`the connection to ${name} ended`)),
      lost: (channel) => this.#takenAway(channel, name),
    });
    await connectWithin(node, this.#clock, this.#options.probeTimeoutMs);
    if (this.#isEnded) {
      node.destroy();
      throw new Error('the connection was closed');
    }
    this.#connected.add(node);
    return node;
  }

  /** Slots move without a word to us if the word came at the wrong moment for node-redis: so we look, too. */
  #look(): void {
    this.#cancelLooking();
    this.#cancelLooking = this.#clock.every(this.#options.probeIntervalMs, () => {
      if (this.#placed.size > 0) void this.#topology.refresh().catch(() => undefined);
    });
  }

  #findLost(): void {
    for (const [channel, name] of [...this.#placed]) {
      if (this.#topology.masterOf(keySlot(channel)) !== name) this.#lose(channel);
    }
  }

  #lose(channel: string): void {
    // Where it was, node-redis has to forget it, or a later subscription there would find it taken.
    this.#sUnsubscribe(channel).catch(() => undefined);
    this.#tell((events) => events.lost(channel));
  }

  /** The server has said so, and node-redis has forgotten it already. */
  #takenAway(channel: string, by: string): void {
    const tell = (): void => {
      if (this.#placed.get(channel) !== by) return;
      this.#placed.delete(channel);
      this.#tell((events) => events.lost(channel));
    };
    this.#topology.refresh().then(tell, tell);
  }

  #end(error: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#tell((events) => events.error(error));
    this.#tell((events) => events.change(false));
    this.#tell((events) => events.end());
  }

  #tell(what: (events: WireEvents) => void): void {
    for (const events of this.#listeners) what(events);
  }

  #require<T>(value: T | undefined): T {
    if (value === undefined) throw new Error('not connected to the cluster');
    return value;
  }
}
