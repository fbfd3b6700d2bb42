import { setTimeout } from 'node:timers/promises';
import { monotonicMicros } from '../clock.js';
import type { SendMode, ServerCommand, ServerReport } from '../harness/messages.js';
import type { Message } from '../load/wire.js';
import { bodiesOf } from './bodies.js';

/** Sends to a room; a promise settles when it is known whether the message was taken. */
export type Send = (room: string, message: Message) => unknown;

export type Sends = Partial<Readonly<Record<SendMode, Send>>>;

const MICROS_PER_SECOND = 1_000_000;
const MICROS_PER_MS = 1_000;

type Published = Extract<ServerReport, { kind: 'published' }>;

/** Sleeps until something is due, and sends all that is; late is late: messages carry the time at which they were due. */
export async function publishAtRate(
  sends: Sends,
  command: Extract<ServerCommand, { kind: 'publish' }>,
): Promise<Published> {
  const { mode, room, rooms, perSecond, seconds, bytes, content } = command;
  const send = sendOf(sends, mode);
  const bodies = bodiesOf(bytes, content);
  const total = perSecond * seconds;
  const replies = new Replies();
  const startedAt = monotonicMicros();
  const dueAt = (index: number): number => Math.floor(startedAt + (index * MICROS_PER_SECOND) / perSecond);
  for (let sent = 0; sent < total;) {
    for (const now = monotonicMicros(); sent < total && dueAt(sent) <= now; sent += 1) {
      replies.await(send(`${room}${sent % rooms}`, { at: dueAt(sent), ...bodies[sent % bodies.length] }));
    }
    await setTimeout(Math.max(1, Math.floor((dueAt(sent) - monotonicMicros()) / MICROS_PER_MS)));
  }
  await replies.settled();
  return report(total, replies.failures, startedAt);
}

const numbers = new Map<string, number>();

/** A round for each number: rooms take turns, and no round begins before the one before it was taken. */
export async function publishNumbered(
  sends: Sends,
  { mode, room, rooms, count }: Extract<ServerCommand, { kind: 'publish-numbered' }>,
): Promise<Published> {
  const send = sendOf(sends, mode);
  const startedAt = monotonicMicros();
  let failures = 0;
  for (let round = 0; round < count; round += 1) {
    const replies = new Replies();
    for (let index = 0; index < rooms; index += 1) {
      const name = `${room}${index}`;
      const n = (numbers.get(name) ?? 0) + 1;
      numbers.set(name, n);
      replies.await(send(name, { at: monotonicMicros(), n, text: 'The quick brown fox jumps over it.' }));
    }
    await replies.settled();
    failures += replies.failures;
  }
  return report(count * rooms, failures, startedAt);
}

/** What was promised and has not settled: counted, so that a fast sender keeps no list. */
class Replies {
  failures = 0;
  private open = 0;
  private resolve: (() => void) | undefined;

  await(reply: unknown): void {
    if (!(reply instanceof Promise)) return;
    this.open += 1;
    reply.then(this.settle, (error: unknown) => {
      if (this.failures === 0) console.error(error);
      this.failures += 1;
      this.settle();
    });
  }

  async settled(): Promise<void> {
    if (this.open > 0) await new Promise<void>((resolve) => (this.resolve = resolve));
  }

  private readonly settle = (): void => {
    this.open -= 1;
    if (this.open === 0) this.resolve?.();
  };
}

function sendOf(sends: Sends, mode: SendMode): Send {
  const send = sends[mode];
  if (!send) throw new Error(`This server has no '${mode}'`);
  return send;
}

function report(publications: number, failures: number, startedAt: number): Published {
  const seconds = (monotonicMicros() - startedAt) / MICROS_PER_SECOND;
  return { kind: 'published', publications, failures, seconds };
}
