import fc from 'fast-check';
import { RealtimeError } from 'nestjs-realtime';
import { randomId, type NewPublication, type RoomLog } from '../support/engines.js';
import { EVERY_ENGINE } from '../support/redis-kinds.js';
import { ROOM_LOGS, RoomChannel, type RoomLogs } from './room-logs.js';

/** Outcomes that time decides are left out: what has a life of 0 is over at once, everything else outlives the test. */
const HOUR_MS = 3_600_000;

const retention = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(1, 3, 8, 1_000).map((size) => ({ size, ttlMs: HOUR_MS })) },
  { weight: 1, arbitrary: fc.constant({ size: 8, ttlMs: 0 }) },
);
const offset = fc.integer({ min: -1, max: 40 });

type Step = (log: RoomLog, room: string, epochs: string[]) => Promise<unknown>;

const publish = fc
  .record({
    publisher: fc.constantFrom('ada', 'bob'),
    id: fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8', '9'),
    text: fc.constantFrom('{}\n"a",1', '{}\n"b",2', `{"v":1}\n"c","${'x'.repeat(60)}"`),
    retention: fc.oneof(
      { weight: 5, arbitrary: retention },
      { weight: 1, arbitrary: fc.constantFrom(undefined, 'stored' as const) },
    ),
    expiresInMs: fc.constantFrom(undefined, undefined, undefined, 0, HOUR_MS),
    windowMs: fc.constantFrom(undefined, undefined, 0),
  })
  .map(
    (fields: Omit<NewPublication, 'room'>): Step =>
      (log, room) =>
        log.publish({ room, ...fields }),
  );

const read = fc
  .record({
    retention,
    after: fc.option(offset, { nil: undefined }),
    before: fc.option(offset, { nil: undefined }),
    limit: fc.constantFrom(0, 1, 2, 5, 1e9),
    maxBytes: fc.constantFrom(undefined, undefined, 0, 30, 150),
  })
  .map(
    ({ retention: kept, ...range }): Step =>
      (log, room) =>
        log.read(room, kept, range),
  );

const states = retention.map(
  (kept): Step =>
    (log, room) =>
      log.states([
        { room, retention: kept },
        { room, retention: kept },
      ]),
);
const clear = fc.constant<Step>((log, room) => log.clear(room));
const remove = fc.record({ offset, nth: fc.integer({ min: 0, max: 2 }) }).map(
  ({ offset: at, nth }): Step =>
    (log, room, epochs) =>
      log.remove(room, { epoch: epochs[nth] ?? 'unknown', offset: at }),
);

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: publish },
    { weight: 4, arbitrary: read },
    { weight: 1, arbitrary: states },
    { weight: 1, arbitrary: clear },
    { weight: 2, arbitrary: remove },
  ),
  { minLength: 1, maxLength: 50 },
);

const EPOCH = /[\w-]{12}/g;

/** What a log answers and publishes, step by step, with its epochs named by the order in which they were seen. */
async function story(world: RoomLogs, list: readonly Step[]): Promise<string[]> {
  const room = `prop/${randomId()}`;
  const channel = await RoomChannel.open(world.bus, room);
  const epochs: string[] = [];
  const named = (text: string): string =>
    text.replace(EPOCH, (epoch) => {
      if (!epochs.includes(epoch)) epochs.push(epoch);
      return `epoch ${epochs.indexOf(epoch)}`;
    });
  const lines: string[] = [];
  for (const [index, step] of list.entries()) {
    const answer = await step(world.logs[index % 2 === 0 ? 0 : 1], room, epochs).catch((error: unknown) => {
      if (!(error instanceof RealtimeError)) throw error;
      return error.code;
    });
    lines.push(named(JSON.stringify(answer) ?? 'nothing'));
  }
  lines.push(...(await channel.messages()).map(named));
  await world.bus.unsubscribe(`{${room}}:ch`);
  return lines;
}

describe('room logs in memory and in Redis', () => {
  const worlds: RoomLogs[] = [];

  beforeAll(async () => {
    for (const create of Object.values(ROOM_LOGS)) worlds.push(await create());
  });
  afterAll(() => Promise.all(worlds.map((world) => world[Symbol.asyncDispose]())));

  it('give the same answers and carry the same messages, whatever is done with them', async () => {
    expect(worlds).toHaveLength(EVERY_ENGINE.length);
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const [memory, ...others] = await Promise.all(worlds.map((world) => story(world, list)));
        for (const other of others) expect(other).toEqual(memory);
      }),
      { numRuns: 150 },
    );
  });
});
