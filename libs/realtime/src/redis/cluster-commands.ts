import type { Cancel, Clock } from '../core/clock.js';
import type { ClusterTopology } from './cluster-topology.js';
import { keySlot } from './key-slot.js';
import { createNodeClient, type NodeClient } from './node-client.js';
import { RedisLink } from './redis-link.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import { SlotLanes, type Setback } from './slot-lanes.js';
import type { NodeRedisSubscriber, Passage, WireClient, WireCommand, WireEvents } from './wire-client.js';
import { reconnectDelayMs } from './wire-client.js';

interface Shard {
  readonly name: string;
  readonly link: RedisLink<NodeClient>;
}

/** Replies that say "not here" or "not now" of the slot; the command was not carried out. */
const NOT_NOW = /^(TRYAGAIN|CLUSTERDOWN|MASTERDOWN|LOADING|READONLY)\b/;
/** Of a script that has emptied a key while its slot moves, and needs it again: it has to run where the key will be. */
const KEY_HAS_GONE = /attempted to access a non local key/;
/** What node-redis says of a command that it did not send. */
const NOT_SENT = new Set(['ClientOfflineError', 'ClientClosedError']);

class NoMasterError extends Error {}

/**
 * Commands to a Redis Cluster: one connection to each master, each command to the master of its key's slot, in order for
 * each slot. Follows MOVED and ASK, waits out TRYAGAIN and CLUSTERDOWN until the caller's deadline. Refuses subscriptions.
 * Ready as soon as one master is: what belongs to another one waits in its lane.
 */
export class ClusterCommands implements WireClient {
  readonly #options: ResolvedRedisOptions;
  readonly #topology: ClusterTopology;
  readonly #clock: Clock;
  readonly #listeners: WireEvents[] = [];
  readonly #shards = new Map<string, Shard>();
  readonly #lanes: SlotLanes;
  #forgetTopology: () => void = () => undefined;
  #cancelLook: Cancel | undefined;
  #looks = 0;
  /** Slots may have moved since the last look. */
  #isInDoubt = false;
  #isReady = false;
  #wasWhole = false;
  #isDestroyed = false;

  constructor(options: ResolvedRedisOptions, topology: ClusterTopology, clock: Clock) {
    this.#options = options;
    this.#topology = topology;
    this.#clock = clock;
    this.#lanes = new SlotLanes({
      clock,
      attempt: (slot, command, askedOf) => this.#attempt(slot, command, askedOf),
      setbackOf: (error, slot) => this.#setbackOf(error, slot),
    });
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  readonly isWatchful = true;

  get shards(): WireClient['shards'] {
    return this.#topology.masters.map((name) => ({
      name,
      send: async (args) => this.#connectedTo(name).send({ args }),
    }));
  }

  get raw(): NodeRedisSubscriber {
    throw new Error('this connection subscribes to nothing');
  }

  async connect(): Promise<void> {
    await this.#topology.refresh();
    if (this.#isDestroyed) return;
    this.#forgetTopology = this.#topology.onChange(() => this.#adopt());
    this.#adopt();
  }

  listen(events: WireEvents): void {
    this.#listeners.push(events);
  }

  send(command: WireCommand, passage?: Passage): Promise<unknown> {
    if (command.key === undefined) return this.#once(() => this.#anyone().send(command));
    const slot = keySlot(command.key);
    if (passage !== undefined) return this.#lanes.send(slot, command, passage);
    return this.#once(() => this.#attempt(slot, command, undefined));
  }

  /** Any master takes it: another one helps out. With none it is an error at once, as what is emitted is worth nothing later. */
  async publish(channel: string, message: string | Buffer): Promise<unknown> {
    return (this.#masterOf(channel) ?? this.#anyone()).publish(channel, message);
  }

  async sPublish(channel: string, message: string | Buffer): Promise<unknown> {
    const slot = keySlot(channel);
    for (let tries = 1; ; tries += 1) {
      const master = this.#masterOf(channel);
      if (master === undefined) throw new NoMasterError(`nobody serves slot ${slot}`);
      try {
        return await master.sPublish(channel, message);
      } catch (error) {
        if (tries === 3 || this.#setbackOf(error, slot)?.kind !== 'moved') throw error;
      }
    }
  }

  subscribe(): Promise<void> {
    return Promise.reject(new Error('this connection subscribes to nothing'));
  }

  unsubscribe(): Promise<void> {
    return Promise.resolve();
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#forgetTopology();
    this.#cancelLook?.();
    for (const { link } of this.#shards.values()) link.close();
    this.#shards.clear();
    this.#lanes.close(new Error('the connection was closed'));
  }

  /** A throw becomes a rejection. Synchronous as far as the socket: calls of one turn must leave in their order. */
  async #once(work: () => Promise<unknown>): Promise<unknown> {
    return work();
  }

  #attempt(slot: number, command: WireCommand, askedOf: string | undefined): Promise<unknown> {
    return this.#once(() => {
      if (askedOf !== undefined) return this.#connectedTo(askedOf).sendAsking(command);
      const name = this.#topology.masterOf(slot);
      if (name === undefined) throw new NoMasterError(`nobody serves slot ${slot}`);
      return this.#connectedTo(name).send(command);
    });
  }

  #setbackOf(error: unknown, slot: number): Setback | undefined {
    if (!(error instanceof Error)) return undefined;
    const { message } = error;
    const [word, , to = ''] = message.split(' ');
    // A server that does not know the other's name leaves it out: the way has to be looked for.
    if (to.startsWith(':')) this.#doubt();
    else if (word === 'MOVED') this.#topology.moved(slot, to);
    if (word === 'MOVED') return { kind: to.startsWith(':') ? 'wait' : 'moved' };
    if (word === 'ASK') return this.#shardOf(to).link.client === undefined ? { kind: 'wait' } : { kind: 'ask', to };
    if (word === 'TRYAGAIN' || KEY_HAS_GONE.test(message)) return { kind: 'wait' };
    if (!(error instanceof NoMasterError) && !NOT_NOW.test(message) && !NOT_SENT.has(error.constructor.name)) return;
    this.#doubt();
    return { kind: 'wait' };
  }

  #masterOf(key: string): NodeClient | undefined {
    const name = this.#topology.masterOf(keySlot(key));
    return name === undefined ? undefined : this.#shards.get(name)?.link.client;
  }

  #anyone(): NodeClient {
    const ready = [...this.#shards.values()].flatMap(({ link }) => link.client ?? []);
    const chosen = ready[Math.floor(Math.random() * ready.length)];
    if (chosen === undefined) throw new NoMasterError('no master of the cluster is connected');
    return chosen;
  }

  #connectedTo(name: string): NodeClient {
    const { client } = this.#shardOf(name).link;
    if (client === undefined) throw new NoMasterError(`${name} is not connected`);
    return client;
  }

  /** Also of a server that has no slot yet, and to which ASK sends. */
  #shardOf(name: string): Shard {
    const known = this.#shards.get(name);
    if (known !== undefined) return known;
    const address = this.#topology.addressOf(name);
    const link = new RedisLink<NodeClient>(this.#options, this.#clock, {
      create: () => createNodeClient(this.#options, { clock: this.#clock, address, reconnects: true }),
      watch: true,
      on: {
        up: () => this.#changed(),
        down: () => {
          this.#changed();
          this.#doubt();
        },
        error: (error) => {
          // Of several servers in one log line it must be clear which one is meant.
          const named = new Error(`${name}: ${error.message || error.name}`, { cause: error });
          this.#tell((events) => events.error(named));
        },
      },
    });
    const shard = { name, link };
    this.#shards.set(name, shard);
    link.open();
    return shard;
  }

  #adopt(): void {
    const masters = new Set(this.#topology.masters);
    for (const name of masters) this.#shardOf(name);
    for (const [name, { link }] of [...this.#shards]) {
      if (masters.has(name)) continue;
      this.#shards.delete(name);
      link.close();
    }
    this.#changed();
    // One that hangs was never up, so it does not go down, either: nothing else would look for who is promoted.
    if (!this.#isWhole()) this.#lookSoon();
  }

  #changed(): void {
    const isReady = [...this.#shards.values()].some(({ link }) => link.client !== undefined);
    this.#lanes.hurry();
    const isWhole = this.#isWhole();
    if (isWhole && !this.#wasWhole) this.#tell((events) => events.whole?.());
    this.#wasWhole = isWhole;
    if (isReady === this.#isReady || this.#isDestroyed) return;
    this.#isReady = isReady;
    this.#tell((events) => events.change(isReady));
  }

  #doubt(): void {
    this.#isInDoubt = true;
    this.#lookSoon();
  }

  /** Until every master that we know of is connected: one that died is replaced by another, under another address. */
  #lookSoon(): void {
    if (this.#cancelLook !== undefined || this.#isDestroyed) return;
    this.#cancelLook = this.#clock.after(reconnectDelayMs(this.#looks++), () => {
      const isNeeded = this.#isInDoubt || !this.#isWhole();
      this.#isInDoubt = false;
      const looked = isNeeded ? this.#topology.refresh() : Promise.resolve();
      void looked
        .catch((error: Error) => this.#tell((events) => events.error(error)))
        .finally(() => {
          this.#cancelLook = undefined;
          if (this.#isWhole()) this.#looks = 0;
          else this.#lookSoon();
        });
    });
  }

  #isWhole(): boolean {
    return this.#topology.masters.every((name) => this.#shards.get(name)?.link.client !== undefined);
  }

  #tell(what: (events: WireEvents) => void): void {
    if (!this.#isDestroyed) for (const events of this.#listeners) what(events);
  }
}
