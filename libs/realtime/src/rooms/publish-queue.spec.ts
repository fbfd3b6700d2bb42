import fc from 'fast-check';
import { RealtimeError } from '../core/realtime-error.js';
import type { NewPublication, PublishOutcome, RoomLog } from '../history/room-log.js';
import { MemoryBus } from '../memory/memory-bus.js';
import { MemoryRoomLog } from '../memory/memory-room-log.js';
import { ManualClock } from '../testing/manual-clock.js';
import { PublishQueue } from './publish-queue.js';

const TIMEOUT_MS = 5_000;
const RETENTION = { size: 1_000, ttlMs: 600_000 };

/** Answers when the test says so, in the order of the calls; the log behind it is the real one. */
class Wire implements Pick<RoomLog, 'publish'> {
  readonly calls: NewPublication[] = [];
  private readonly pending: { write(): Promise<PublishOutcome>; settle(result: Promise<PublishOutcome>): void }[] = [];

  constructor(private readonly log: RoomLog) {}

  publish(publication: NewPublication): Promise<PublishOutcome> {
    this.calls.push(publication);
    return new Promise((settle) => {
      this.pending.push({ write: () => this.log.publish(publication), settle });
    });
  }

  get inFlight(): number {
    return this.pending.length;
  }

  /** The oldest calls are carried out and answered. */
  async answer(count = this.pending.length): Promise<void> {
    for (const { write, settle } of this.pending.splice(0, count)) settle(write());
    await settled();
  }

  /** The connection breaks: of what is on its way the first ones are carried out, nobody is told. */
  async cut(written = 0): Promise<void> {
    const lost = this.pending.splice(0);
    for (const { write } of lost.slice(0, written)) await write();
    for (const { settle } of lost) settle(Promise.reject(unavailable(true)));
    await settled();
  }

  /** Redis says "not now" to the oldest call, or something that will not change. */
  async refuse(error: Error = unavailable(false)): Promise<void> {
    this.pending.shift()?.settle(Promise.reject(error));
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function unavailable(maybeWritten: boolean): Error {
  return Object.assign(new RealtimeError('UNAVAILABLE'), { maybeWritten });
}

function setUp(options: { maxPublications?: number; maxBytes?: number; timeoutMs?: number } = {}) {
  const clock = new ManualClock();
  const log = new MemoryRoomLog(new MemoryBus(), clock);
  const wire = new Wire(log);
  const dropped: string[] = [];
  const metrics = { dropped: (kind: string) => void dropped.push(kind) };
  const queue = new PublishQueue({ log: wire, clock, metrics, timeoutMs: TIMEOUT_MS, ...options });
  /** What became of each publication: its offset, or the code it was refused with. */
  const results: Record<string, number | string> = {};
  const publish = (id: string, room = 'r'): void => {
    const publication = { room, publisher: 'server', id, text: `{}\n"e","${id}",{"id":"${id}"`, retention: RETENTION };
    queue.publish(publication).then(
      (outcome) => (results[id] = 'position' in outcome ? (outcome.position?.offset ?? 0) : outcome.status),
      (error: RealtimeError) => (results[id] = error.code),
    );
  };
  const written = async (room = 'r'): Promise<string[]> => {
    const { entries } = await log.read(room, RETENTION, { limit: 1_000 });
    return entries.map(({ text }) => (JSON.parse(`[${text.slice(text.indexOf('\n') + 1)}}]`) as string[])[1] as string);
  };
  return { clock, wire, queue, dropped, results, publish, written };
}

describe('when the log answers', () => {
  it('has several publications of a room on their way, in the order of their calls', async () => {
    const { wire, publish, results, queue } = setUp();
    for (const id of ['a', 'b', 'c']) publish(id);
    expect([wire.inFlight, queue.size]).toEqual([3, 3]);
    await wire.answer();
    expect(results).toEqual({ a: 1, b: 2, c: 3 });
    expect(queue.size).toBe(0);
  });

  it('hands on what the log refuses for good, and holds nothing back', async () => {
    const { wire, publish, results, clock } = setUp();
    publish('a');
    publish('b');
    await wire.refuse(new RealtimeError('LIMIT_EXCEEDED'));
    await wire.answer();
    expect(results).toEqual({ a: 'LIMIT_EXCEEDED', b: 1 });
    expect(clock.pending).toBe(0);
  });

  it('tells the same outcome for a repeat', async () => {
    const { wire, publish, results } = setUp();
    publish('a');
    await wire.answer();
    publish('b');
    publish('a');
    await wire.answer();
    expect(results).toEqual({ a: 1, b: 2 });
  });
});

describe('when a try fails', () => {
  it('tries the oldest again, alone and under its id, then all others in their order', async () => {
    const { wire, publish, results, clock, written } = setUp();
    for (const id of ['a', 'b', 'c']) publish(id);
    await wire.cut(1);
    publish('d');
    expect(wire.inFlight).toBe(0);
    await clock.advanceAsync(1_000);
    expect(wire.calls.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'a']);
    await wire.answer();
    expect(wire.inFlight).toBe(3);
    await wire.answer();
    expect(results).toEqual({ a: 1, b: 2, c: 3, d: 4 });
    expect(await written()).toEqual(['a', 'b', 'c', 'd']);
    expect(clock.pending).toBe(0);
  });

  it('waits for what is under way before it tries again', async () => {
    const { wire, publish, clock, results } = setUp();
    publish('a');
    publish('b');
    await wire.refuse();
    publish('c');
    await clock.advanceAsync(2_000);
    expect(wire.inFlight).toBe(1);
    await wire.answer();
    await clock.advanceAsync(1_000);
    await wire.answer();
    await wire.answer();
    // `b` had left already: it cannot be called back.
    expect(results).toEqual({ b: 1, a: 2, c: 3 });
  });

  it('holds back no other room', async () => {
    const { wire, publish, results } = setUp();
    publish('a');
    await wire.cut();
    publish('b', 'other');
    await wire.answer();
    expect(results).toEqual({ b: 1 });
  });

  it('goes on after a publication that is refused for good', async () => {
    const { wire, publish, results, clock } = setUp();
    publish('a');
    publish('b');
    await wire.cut();
    await clock.advanceAsync(1_000);
    await wire.refuse(new RealtimeError('INTERNAL'));
    await wire.answer();
    expect(results).toEqual({ a: 'INTERNAL', b: 1 });
  });
});

describe('when the time is over', () => {
  it('says UNAVAILABLE of what was certainly not written, UNKNOWN of what may have been', async () => {
    const { wire, publish, results, clock, dropped, written } = setUp();
    publish('maybe');
    publish('lost');
    await wire.cut(1);
    publish('never');
    while (Object.keys(results).length < 3) {
      await clock.advanceAsync(500);
      if (wire.inFlight > 0) await wire.refuse();
    }
    expect(results).toEqual({ maybe: 'UNKNOWN', lost: 'UNKNOWN', never: 'UNAVAILABLE' });
    expect(clock.now()).toBeLessThanOrEqual(TIMEOUT_MS + 500);
    // In no order: the pauses are random, and one that is under way when its time is over is settled by its answer.
    expect(dropped.toSorted()).toEqual(['publish-unavailable', 'publish-unknown', 'publish-unknown']);
    expect(await written()).toEqual(['maybe']);
    expect(clock.pending).toBe(0);
  });

  it('waits for the try that is under way: it decides', async () => {
    const { wire, publish, results, clock } = setUp();
    publish('a');
    await clock.advanceAsync(2 * TIMEOUT_MS);
    expect(results).toEqual({});
    await wire.answer();
    publish('b');
    await clock.advanceAsync(2 * TIMEOUT_MS);
    await wire.refuse();
    expect(results).toEqual({ a: 1, b: 'UNAVAILABLE' });
  });

  it('tries once if there is no time at all', async () => {
    const { wire, publish, results, clock } = setUp({ timeoutMs: 0 });
    publish('a');
    await wire.refuse();
    publish('b');
    await wire.answer();
    expect(results).toEqual({ a: 'UNAVAILABLE', b: 1 });
    expect(clock.pending).toBe(0);
  });
});

describe('when too much waits', () => {
  it.each([
    ['publications', { maxPublications: 2 }],
    ['bytes', { maxBytes: 50 }],
  ])('refuses more %s at once, and counts it', async (_name, bounds) => {
    const { wire, publish, results, dropped } = setUp(bounds);
    for (const id of ['a', 'b', 'c']) publish(id);
    await settled();
    expect(results).toEqual({ c: 'UNAVAILABLE' });
    expect(dropped).toEqual(['publish-queue-full']);
    await wire.answer();
    publish('d');
    await wire.answer();
    expect(results).toEqual({ a: 1, b: 2, c: 'UNAVAILABLE', d: 3 });
  });
});

describe('when it is closed', () => {
  it('refuses what waits and what comes, and lets the answers of what is under way decide', async () => {
    const { wire, publish, queue, results, clock } = setUp();
    publish('a');
    await wire.cut();
    publish('b');
    publish('c', 'other');
    queue.close();
    publish('d', 'third');
    await settled();
    expect(results).toEqual({ a: 'UNKNOWN', b: 'UNAVAILABLE', d: 'UNAVAILABLE' });
    await wire.answer();
    expect(results).toMatchObject({ c: 1 });
    expect(clock.pending).toBe(0);
  });
});

describe('whatever happens to the connection', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.constant({ type: 'publish' as const }) },
    {
      weight: 4,
      arbitrary: fc.record({ type: fc.constant('answer' as const), count: fc.integer({ min: 1, max: 5 }) }),
    },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('cut' as const), written: fc.nat(5) }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.constantFrom(50, 300, 2_000) }) },
  );

  it('writes each once and in order, and never says UNAVAILABLE of what was written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { wire, publish, results, clock, written } = setUp();
        const ids: string[] = [];
        for (const one of steps) {
          if (one.type === 'publish') publish((ids[ids.length] = `p${ids.length}`));
          else if (one.type === 'answer') await wire.answer(one.count);
          else if (one.type === 'cut') await wire.cut(one.written);
          else await clock.advanceAsync(one.ms);
        }
        while (Object.keys(results).length < ids.length) {
          await wire.answer();
          await clock.advanceAsync(1_000);
        }
        const log = await written();
        expect(log).toEqual(ids.filter((id) => log.includes(id)));
        for (const [index, id] of log.entries()) expect(['UNKNOWN', index + 1]).toContain(results[id]);
        for (const id of ids.filter((one) => !log.includes(one))) {
          expect(['UNKNOWN', 'UNAVAILABLE']).toContain(results[id]);
        }
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});
