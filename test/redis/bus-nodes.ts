import type { Clock } from 'nestjs-realtime/testing';
import { RedisBus, RedisConnection, noMetrics, type BusState, type RedisOptions } from '../support/engines.js';
import { GENEROUS_MS, eventually } from '../support/eventually.js';

/**
 * Nothing that is there looks away, however long the machine stands still: a test leaps over these with a `LeapingClock`,
 * or breaks connections for good. The interval stays short, because servers are looked for once in each.
 */
export const TIMES = {
  probeIntervalMs: 500,
  probeTimeoutMs: GENEROUS_MS,
  commandTimeoutMs: GENEROUS_MS,
  connectTimeoutMs: GENEROUS_MS,
};

export interface BusNode extends AsyncDisposable {
  readonly connection: RedisConnection;
  readonly bus: RedisBus;
  readonly lines: readonly string[];
  /** Kinds of what was dropped. */
  readonly drops: readonly string[];
  /** Of the bus, since the last `forget()`: a test that looks now and then would miss a short one. */
  readonly states: readonly BusState[];
  forget(): void;
}

/** A node's two connections to Redis, and what they log. */
export async function startBusNode(options: RedisOptions, clock?: Clock): Promise<BusNode> {
  const lines: string[] = [];
  const push = (line: string): void => void lines.push(line);
  const logger = { log: push, warn: push, error: push };
  const drops: string[] = [];
  const metrics = { ...noMetrics, dropped: (kind: string) => void drops.push(kind) };
  const connection = new RedisConnection({ ...TIMES, ...options }, { logger, metrics, clock });
  const bus = new RedisBus(connection);
  const states: BusState[] = [];
  bus.onState((state) => states.push(state));
  await bus.ready();
  return {
    connection,
    bus,
    lines,
    drops,
    states,
    forget: () => void (states.length = 0),
    async [Symbol.asyncDispose]() {
      await bus.close();
      await connection.close();
    },
  };
}

/** A bus delivers at most once: while masters change it may lose some, but not all. */
export async function deliversAtLast(from: BusNode, to: BusNode, channel: string): Promise<void> {
  const received: string[] = [];
  await eventually(() => to.bus.subscribe(channel, (payload) => received.push(payload)));
  const sent: string[] = [];
  await eventually(async () => {
    const text = `marker ${Math.random()}`;
    sent.push(text);
    await from.bus.publish(channel, text);
    expect(received.filter((each) => sent.includes(each))).not.toEqual([]);
  });
}

export const until = (node: BusNode, state: BusState): Promise<void> =>
  eventually(() => expect({ state: node.bus.state, lines: node.lines }).toMatchObject({ state }));

/** Since the last `forget()`, also if it is up again by now. */
export const untilDown = (node: BusNode): Promise<void> => eventually(() => expect(node.states).toContain('down'));

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
