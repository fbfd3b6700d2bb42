import { LOG_META_TTL_MS, PUBLICATION_WINDOW_MS, type Retention } from '../history/room-log.js';
import { ManualClock } from '../testing/manual-clock.js';
import { MemoryBus } from './memory-bus.js';
import { MemoryRoomLog, type MemoryRoomLogOptions } from './memory-room-log.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const RETENTION: Retention = { size: 100, ttlMs: HOUR_MS };

function setUp(options?: MemoryRoomLogOptions) {
  const clock = new ManualClock();
  const bus = new MemoryBus();
  const log = new MemoryRoomLog(bus, clock, options);
  let nth = 0;
  const publish = (room: string, over: { id?: string; text?: string; retention?: Retention } = {}) =>
    log.publish({ room, publisher: 'p', id: `i${(nth += 1)}`, text: '{}\n"a",1', retention: RETENTION, ...over });
  const offsets = async (room: string): Promise<number[]> =>
    (await log.read(room, RETENTION, { after: 0, limit: 100 })).entries.map(({ offset }) => offset);
  const state = async (room: string) => (await log.states([{ room, retention: RETENTION }]))[0];
  return { clock, bus, log, publish, offsets, state };
}

describe('the log of rooms in memory', () => {
  it('lets entries age one by one, and counts on', async () => {
    const { clock, publish, offsets, state } = setUp();
    await publish('r');
    clock.advance(HOUR_MS / 2);
    await publish('r');
    clock.advance(HOUR_MS / 2 - 1);
    expect(await offsets('r')).toEqual([1, 2]);
    clock.advance(1);
    expect(await offsets('r')).toEqual([2]);
    expect(await state('r')).toMatchObject({ offset: 2, start: 1 });
    clock.advance(HOUR_MS);
    expect(await state('r')).toMatchObject({ offset: 2, start: 2 });
    await publish('r');
    expect(await offsets('r')).toEqual([3]);
  });

  it('knows an id for as long as Redis would', async () => {
    const { clock, publish } = setUp();
    await publish('r', { id: 'x' });
    clock.advance(PUBLICATION_WINDOW_MS - 1);
    expect(await publish('r', { id: 'x' })).toMatchObject({ status: 'repeat' });
    clock.advance(1);
    expect(await publish('r', { id: 'x' })).toMatchObject({ status: 'published' });
  });

  it('remembers where a room stood for a week past its last use, and an empty one for a day', async () => {
    const { clock, publish, state } = setUp();
    const empty = await state('empty');
    await publish('r');
    const used = await state('r');
    clock.advance(DAY_MS - 1);
    expect(await state('empty')).toEqual(empty);
    clock.advance(LOG_META_TTL_MS - DAY_MS);
    expect((await state('empty'))?.epoch).not.toBe(empty?.epoch);
    expect(await state('r')).toMatchObject({ epoch: used?.epoch, offset: 1 });
    clock.advance(LOG_META_TTL_MS);
    const again = await state('r');
    expect([again?.offset, again?.epoch === used?.epoch]).toEqual([0, false]);
  });

  it('forgets the room that was used longest ago when all of them are too large', async () => {
    const text = `{}\n"${'x'.repeat(996)}"`; // 1 001 bytes
    const { publish, offsets, state } = setUp({ maxBytes: 3_100 });
    const before = new Map<string, string | undefined>();
    for (const room of ['a', 'b', 'c']) {
      await publish(room, { text });
      before.set(room, (await state(room))?.epoch);
    }
    await offsets('a');
    await publish('d', { text });
    expect(await offsets('a')).toEqual([1]);
    expect(await offsets('b')).toEqual([]);
    expect((await state('b'))?.epoch).not.toBe(before.get('b'));
    expect(await offsets('c')).toEqual([1]);
    for (let i = 0; i < 5; i += 1) await publish('e', { text });
    expect(await offsets('e')).toEqual([1, 2, 3, 4, 5]);
    expect(await offsets('c')).toEqual([]);
  });

  it('frees in its turn what nobody looks at any more', async () => {
    const text = `{}\n"${'x'.repeat(996)}"`;
    const { clock, publish, offsets } = setUp({ maxBytes: 60_000 });
    for (let i = 0; i < 50; i += 1) await publish(`old/${i}`, { text });
    clock.advance(HOUR_MS);
    // The aged ones made room: nothing of the new ones had to go.
    for (let i = 0; i < 55; i += 1) await publish(`new/${i}`, { text });
    for (let i = 0; i < 55; i += 1) expect(await offsets(`new/${i}`)).toEqual([1]);
  });

  it('is away while the bus is', async () => {
    const { bus, log, publish, offsets } = setUp();
    await publish('r');
    bus.setState('down');
    const away = { code: 'UNAVAILABLE' };
    await expect(publish('r')).rejects.toMatchObject(away);
    await expect(offsets('r')).rejects.toMatchObject(away);
    await expect(log.clear('r')).rejects.toMatchObject(away);
    await expect(log.remove('r', { epoch: '', offset: 1 })).rejects.toMatchObject(away);
    bus.setState('up');
    expect(await offsets('r')).toEqual([1]);
  });
});
