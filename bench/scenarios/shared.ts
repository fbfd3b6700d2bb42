import type { Content, SendMode } from '../harness/messages.js';
import type { Session } from '../peers/session.js';
import type { Settings } from '../settings.js';

/** Runs of each peer unless the command line says otherwise. */
export function runsOf(settings: Settings, full = 5): number {
  return settings.number('runs', { full, quick: 1 });
}

export interface FanOut {
  readonly rooms: number;
  readonly members: number;
  /** Publications a second. */
  readonly perSecond: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly content?: Content;
  /** Connections whose deliveries are timed; default 25. */
  readonly samples?: number;
  readonly mode?: SendMode;
}

export interface FanOutCost {
  readonly deliveries: number;
  readonly publications: number;
  /** Of those that were due. */
  readonly missing: number;
  /** Of all deliveries, as they came over the wire. */
  readonly wireBytes: number;
  /** Microseconds of all server processes. */
  readonly cpu: number;
  /** Of one core, by the client process. */
  readonly busy: number;
  readonly p50: number;
  readonly p99: number;
}

/** Publishes on the first node, and waits until everything has arrived or nothing more comes. */
export async function fanOut(session: Session, load: FanOut): Promise<FanOutCost> {
  const { rooms, members, perSecond, seconds, bytes, samples, content = 'padding' } = load;
  await session.load.ask({ kind: 'watch', ...(samples === undefined ? {} : { samples }) }, 'watching');
  const before = await session.cpu();
  const { mode } = session.peer;
  const published = await session.node.ask(
    { kind: 'publish', mode, room: session.room, rooms, perSecond, seconds, bytes, content },
    'published',
  );
  const { publications, failures } = published;
  const expected = publications * members;
  const collected = await session.load.ask({ kind: 'collect', expected }, 'collected');
  const cpu = (await session.cpu()) - before;
  if (failures > 0) throw new Error(`${session.peer.name}: ${failures} of ${publications} publications failed`);
  const { deliveries, bytes: wireBytes, busy, p50, p99 } = collected;
  if (deliveries > expected) throw new Error(`${session.peer.name}: ${deliveries} deliveries of ${expected}`);
  return { deliveries, publications, missing: 1 - deliveries / expected, wireBytes, cpu, busy, p50, p99 };
}
