import type { Cancel, Clock } from '../core/clock.js';
import { addressName, createNodeClient, type NodeClient } from './node-client.js';
import type { RedisNodeAddress, ResolvedRedisOptions } from './redis-options.js';

type Sentinels = NonNullable<ResolvedRedisOptions['address']['sentinel']>;

interface Opinion {
  readonly address: RedisNodeAddress;
  /** Counts the failovers: of two opinions the higher one is newer. */
  readonly epoch: number;
}

/**
 * Who is master, by the word of the sentinels: more than half of them are heard, and the newest opinion among theirs
 * counts, so that one which was cut off cannot lead us back. Refuses to rely on their messages alone: while it is watched
 * it asks every `probeIntervalMs`.
 */
export class SentinelDirectory {
  readonly #options: ResolvedRedisOptions;
  readonly #sentinels: Sentinels;
  readonly #clock: Clock;
  readonly #watchers = new Set<() => void>();
  #seats: Seat[] = [];
  #current: Opinion | undefined;
  #cancelPolling: Cancel = () => undefined;

  constructor(options: ResolvedRedisOptions, sentinels: Sentinels, clock: Clock) {
    this.#options = options;
    this.#sentinels = sentinels;
    this.#clock = clock;
  }

  /** `onMoved` is called when another server became master. Connections to the sentinels are open as long as anybody watches. */
  watch(onMoved: () => void): () => void {
    const watcher = (): void => onMoved();
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) this.#open();
    return () => {
      if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.#close();
    };
  }

  /** The master's address. Rejects if no sentinel answers in time, or none knows the name. */
  async find(): Promise<RedisNodeAddress> {
    const opinion = await this.#ask();
    if (opinion instanceof Error) throw opinion;
    this.#adopt(opinion);
    return (this.#current ?? opinion).address;
  }

  #open(): void {
    const { username, password, nodes } = this.#sentinels;
    this.#seats = nodes.map(
      (address) =>
        new Seat(
          createNodeClient(this.#options, {
            clock: this.#clock,
            address,
            reconnects: true,
            login: { username, password },
          }),
        ),
    );
    this.#cancelPolling = this.#clock.every(this.#options.probeIntervalMs, () => {
      void this.#ask().then((opinion) => opinion instanceof Error || this.#adopt(opinion));
    });
  }

  #close(): void {
    this.#cancelPolling();
    for (const seat of this.#seats.splice(0)) seat.client.destroy();
  }

  #adopt(opinion: Opinion): void {
    const known = this.#current;
    if (known !== undefined && known.epoch > opinion.epoch) return;
    this.#current = opinion;
    if (known === undefined || addressName(known.address) === addressName(opinion.address)) return;
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** The newest opinion as soon as more than half have answered, or of those who did within half a probe interval. */
  #ask(): Promise<Opinion | Error> {
    const seats = [...this.#seats];
    const opinions: Opinion[] = [];
    let failed: unknown;
    return new Promise((resolve) => {
      let waiting = seats.length;
      const finish = (): void => {
        cancel();
        const [newest] = opinions.sort((a, b) => b.epoch - a.epoch);
        resolve(newest ?? this.#nobody(failed));
      };
      const cancel = this.#clock.after(this.#options.probeIntervalMs / 2, finish);
      const settled = (): void => {
        waiting -= 1;
        if (waiting === 0 || opinions.length * 2 > seats.length) finish();
      };
      if (waiting === 0) finish();
      for (const seat of seats) {
        this.#opinionOf(seat)
          .then(
            (opinion) => opinions.push(opinion),
            (error: unknown) => (failed = error),
          )
          .finally(settled);
      }
    });
  }

  async #opinionOf({ client, connected }: Seat): Promise<Opinion> {
    await connected();
    const { name } = this.#sentinels;
    // During a failover the first already names the promoted server, the second still the old one.
    const [address, details] = await Promise.all([
      client.send({ args: ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name] }),
      client.send({ args: ['SENTINEL', 'MASTER', name] }),
    ]);
    if (!Array.isArray(address)) throw new Error(`the sentinel knows no master '${name}'`);
    return {
      address: { host: String(address[0]), port: Number(address[1]) },
      epoch: Number(fieldOf(details, 'config-epoch') ?? 0),
    };
  }

  #nobody(because: unknown): Error {
    const text = because instanceof Error ? `: ${because.message}` : '';
    return new Error(`no sentinel names a master '${this.#sentinels.name}'${text}`);
  }
}

/** One sentinel's connection, which never gives up. */
class Seat {
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(readonly client: NodeClient) {
    const refuse = (error: Error): void => this.#waiting.splice(0).forEach(({ reject }) => reject(error));
    client.listen({
      change: (isReady) => isReady && this.#waiting.splice(0).forEach(({ resolve }) => resolve()),
      error: refuse,
      end: () => refuse(new Error('the connection to the sentinel was closed')),
      lost: () => undefined,
    });
    // How it goes is heard above; one that is away is simply not counted.
    client.connect().catch(() => undefined);
  }

  /** At boot the connections are on their way when the first question comes. */
  readonly connected = (): Promise<void> => {
    if (this.client.isReady) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  };
}

/** Of a reply that is a map in RESP3, and a list of names and values before. */
function fieldOf(reply: unknown, name: string): unknown {
  if (reply instanceof Map) return reply.get(name) as unknown;
  if (!Array.isArray(reply)) return (reply as Record<string, unknown> | null)?.[name];
  const index = reply.indexOf(name);
  return index === -1 ? undefined : (reply as unknown[])[index + 1];
}
