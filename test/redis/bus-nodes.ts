import { RedisBus, RedisConnection, noMetrics, type RedisOptions } from '../support/engines.js';
import { eventually } from '../support/eventually.js';

/** Shorter than the defaults, but longer than a busy machine takes to make a connection: else what is there looks away. */
export const TIMES = { probeIntervalMs: 500, probeTimeoutMs: 2_000, commandTimeoutMs: 3_000, connectTimeoutMs: 3_000 };

export interface BusNode extends AsyncDisposable {
  readonly connection: RedisConnection;
  readonly bus: RedisBus;
  readonly lines: readonly string[];
  /** Kinds of what was dropped. */
  readonly drops: readonly string[];
}

/** A node's two connections to Redis, and what they log. */
export async function startBusNode(options: RedisOptions): Promise<BusNode> {
  const lines: string[] = [];
  const push = (line: string): void => void lines.push(line);
  const logger = { log: push, warn: push, error: push };
  const drops: string[] = [];
  const metrics = { ...noMetrics, dropped: (kind: string) => void drops.push(kind) };
  const connection = new RedisConnection({ ...TIMES, ...options }, { logger, metrics });
  const bus = new RedisBus(connection);
  await bus.ready();
  return {
    connection,
    bus,
    lines,
    drops,
    async [Symbol.asyncDispose]() {
      await bus.close();
      await connection.close();
    },
  };
}

export async function delivers(from: BusNode, to: BusNode, channel: string): Promise<void> {
  const text = `marker ${Math.random()}`;
  const received: string[] = [];
  await to.bus.subscribe(channel, (payload) => received.push(payload));
  await from.bus.publish(channel, text);
  await eventually(() => expect(received).toContain(text));
}

/** Fails the suite at its end if a rejection was left unhandled. Call it at the top of a spec. */
export function watchUnhandled(): void {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  beforeAll(() => process.on('unhandledRejection', onUnhandled));
  afterAll(() => {
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
  });
}
