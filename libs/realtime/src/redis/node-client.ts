import { createClient, type RedisClientOptions, type RedisClientType } from 'redis';
import type { Clock } from '../core/clock.js';
import type { RedisNodeAddress, ResolvedRedisOptions } from './redis-options.js';
import { ReadyGate } from './ready-gate.js';
import { socketTimeouts, type WireClient, type WireCommand, type WireEvents } from './wire-client.js';

export interface NodeClientSettings {
  readonly clock: Clock;
  /** Of a server that Sentinel or the cluster named; by default the options' own address. */
  readonly address?: RedisNodeAddress | undefined;
  /** False: it ends with its connection, because the address may be another server's by then. */
  readonly reconnects: boolean;
  /** Of a sentinel, which has its own users. */
  readonly login?: { username?: string | undefined; password?: string | undefined } | undefined;
}

/** A client of one server. */
export interface NodeClient extends WireClient {
  /** To a server that is importing the key's slot: ASKING and the command, with nothing in between. */
  sendAsking(command: WireCommand): Promise<unknown>;
}

type Client = RedisClientType;

/**
 * Never connected. `createClient` builds a class with all commands anew for each other set of options, which takes longer
 * than to connect: nodes that look for a new master on a busy machine would not do anything else. Duplicates share a class.
 */
let template: Client | undefined;

export function createNodeClient(options: ResolvedRedisOptions, settings: NodeClientSettings): NodeClient {
  const client = createNodeRedis(options, settings);
  const gate = new ReadyGate(client, settings.clock);
  const scripts = new ScriptsKnown(client);
  const name = settings.address === undefined ? '' : addressName(settings.address);
  const send = (command: WireCommand): Promise<unknown> =>
    command.script === undefined ? client.sendCommand([...command.args]) : scripts.run(command.script, command.args);
  return {
    connect: async () => {
      await client.connect();
      await gate.opened();
    },
    get isReady() {
      return gate.isOpen;
    },
    listen: (events) => {
      gate.onChange((isOpen) => events.change(isOpen));
      listen(client, events, { gate, reconnects: settings.reconnects });
    },
    send,
    sendAsking: async (command) => {
      // Always the script itself: a NOSCRIPT answer would use up what ASKING allows.
      const args = command.script === undefined ? command.args : ['EVAL', command.script.lua, ...command.args];
      const [, reply] = await Promise.all([client.sendCommand(['ASKING']), client.sendCommand([...args])]);
      return reply;
    },
    shards: [{ name, send: (args) => client.sendCommand([...args]) }],
    subscribe: (channels, listener) => client.subscribe([...channels], listener),
    unsubscribe: (channels) => client.unsubscribe([...channels]),
    // node-redis' own methods write each command through a parser first, which takes as long as to send it.
    publish: (channel, message) => client.sendCommand(['PUBLISH', channel, message]),
    sPublish: (channel, message) => client.sendCommand(['SPUBLISH', channel, message]),
    raw: client,
    destroy: () => {
      if (client.isOpen) client.destroy();
    },
  };
}

/** Connects, or gives up: a hung server accepts connections and then says nothing. The client is of no use after a rejection. */
export function connectWithin(client: NodeClient, clock: Clock, withinMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(withinMs, () => {
      client.destroy();
      reject(new Error(`${client.shards[0]?.name} does not answer within ${withinMs} ms`));
    });
    client.connect().then(resolve, reject).finally(cancel);
  });
}

export function addressName({ host, port }: RedisNodeAddress): string {
  return `${host}:${port}`;
}

function listen(client: Client, events: WireEvents, how: { gate: ReadyGate; reconnects: boolean }): void {
  const endIfOver = (): void => {
    if (!client.isOpen) events.end();
  };
  client.on('end', () => {
    how.gate.close();
    events.end();
  });
  client.on('error', (error: Error) => {
    // First why, then that.
    events.error(error);
    if (!client.isReady) how.gate.close();
    if (!how.reconnects) endIfOver();
  });
  client.on('sharded-channel-moved', (channel: string) => events.lost(channel));
}

/** Which scripts the server has had from this connection: EVALSHA for those, the script itself the first time. */
class ScriptsKnown {
  readonly #client: Client;
  #known = new Set<string>();

  constructor(client: Client) {
    this.#client = client;
    // The server may be another one, or may have restarted: it need not know any script.
    client.on('ready', () => (this.#known = new Set()));
  }

  run(script: NonNullable<WireCommand['script']>, args: WireCommand['args']): Promise<unknown> {
    const whole = ['EVAL', script.lua, ...args];
    // A NOSCRIPT answer to the first call would let later calls of the same turn overtake it.
    const isKnown = this.#known.has(script.sha1);
    this.#known.add(script.sha1);
    if (!isKnown) {
      return this.#client.sendCommand(whole).catch((error: unknown) => {
        // Refused before it was read, perhaps: the slot is elsewhere, or the memory full.
        this.#known.delete(script.sha1);
        throw error;
      });
    }
    return this.#client.sendCommand(['EVALSHA', script.sha1, ...args]).catch((error: unknown) => {
      const isUnknown = error instanceof Error && error.message.startsWith('NOSCRIPT');
      if (!isUnknown) throw error;
      return this.#client.sendCommand(whole);
    });
  }
}

function createNodeRedis(options: ResolvedRedisOptions, { address, reconnects, ...own }: NodeClientSettings): Client {
  const { client: given, url, socket } = options.address;
  const timeouts = socketTimeouts(options);
  const common = {
    ...login(own.login ?? options),
    // Of a server that was named to us: only those of Sentinel have numbered databases, and sentinels have none.
    ...(options.database === undefined || own.login !== undefined ? {} : { database: options.database }),
    disableOfflineQueue: true,
    // An AbortSignal and a timer for each command cost more than sending it, and end only what was not written: callers have
    // deadlines of their own, and a server that says nothing loses its connection.
    commandOptions: { timeout: 0 },
    commandsQueueMaxLength: options.maxQueuedCommands,
    maintNotifications: 'disabled' as const,
  };
  const sockets = {
    ...tlsOf(options),
    ...timeouts,
    ...(reconnects ? {} : { reconnectStrategy: () => false as const }),
  };
  const model = given ?? (template ??= createClient());
  if (address !== undefined) return model.duplicate({ ...common, socket: { ...address, ...sockets } as Sockets });
  const settings = {
    ...common,
    ...(url === undefined ? {} : { url: completeUrl(url, options) }),
    // The kinds of socket options (TCP, IPC, TLS) are a union that cannot be spread together in types.
    socket: { ...given?.options.socket, ...socket, ...sockets } as Sockets,
  };
  return model.duplicate(settings);
}

type Sockets = NonNullable<RedisClientOptions['socket']>;

function login({ username, password }: NonNullable<NodeClientSettings['login']>) {
  return { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
}

function tlsOf({ tls }: ResolvedRedisOptions) {
  return tls === false ? {} : { ...(tls === true ? {} : tls), tls: true as const };
}

/** node-redis lets the url win over options and throws, with the url in the message, when the two disagree about TLS. */
function completeUrl(url: string, options: ResolvedRedisOptions): string {
  if (url.startsWith('unix:')) return url;
  const complete = new URL(options.tls === false ? url : url.replace(/^redis:/, 'rediss:'));
  // The setters of a URL leave `%` as it is, for the client to decode.
  if (options.username !== undefined) complete.username = encodeURIComponent(options.username);
  if (options.password !== undefined) complete.password = encodeURIComponent(options.password);
  if (options.database !== undefined) complete.pathname = `/${options.database}`;
  return complete.href;
}
