import type { Position } from 'nestjs-realtime-protocol';
import {
  MAX_LOG_BYTES,
  MAX_LOG_ENTRIES,
  randomId,
  type LogRange,
  type LogRead,
  type RoomLog,
} from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { RETENTION, ROOM_LOGS, RoomChannel, TIGHT_BYTES, publication, type RoomLogs } from './room-logs.js';

const ran = new Set<string>();
const ALL: LogRange = { after: 0, limit: 1_000 };

describe.each(Object.entries(ROOM_LOGS))('the room log in %s', (name, create) => {
  let world: RoomLogs;
  let here: RoomLog;
  let there: RoomLog;
  let room: string;

  beforeAll(async () => {
    world = await create();
    [here, there] = world.logs;
    ran.add(name);
  });
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(() => (room = `chat/${randomId()}`));

  const offsets = ({ entries }: LogRead): number[] => entries.map(({ offset }) => offset);
  const read = (range: Partial<LogRange> = {}): Promise<LogRead> => there.read(room, RETENTION, { ...ALL, ...range });

  async function publish(count: number, over: Parameters<typeof publication>[1] = {}): Promise<Position[]> {
    const outcomes = await Promise.all(Array.from({ length: count }, () => here.publish(publication(room, over))));
    return outcomes.map((outcome) => {
      if (outcome.status !== 'published' || !outcome.position) throw new Error(`not published: ${outcome.status}`);
      return outcome.position;
    });
  }

  describe('when something is published', () => {
    it('numbers it from 1, stores it and puts it on the channel in that order', async () => {
      const channel = await RoomChannel.open(world.bus, room);
      const texts = ['{}\n"a",1', '{"v":1}\n"ä \ud83d\ude00",{}', '{}\n"line\\n",null\nsecond'];
      const outcomes = await Promise.all(texts.map((text) => here.publish(publication(room, { text }))));
      const epoch = outcomes[0]?.status === 'published' ? outcomes[0].position?.epoch : undefined;
      expect(outcomes).toEqual([1, 2, 3].map((offset) => ({ status: 'published', position: { epoch, offset } })));
      expect(await channel.messages()).toEqual(texts.map((text, index) => `m${index + 1} ${epoch}\n${text}`));
      expect(await read()).toEqual({
        ...{ epoch, offset: 3, start: 0, forks: {} },
        entries: texts.map((text, index) => ({ offset: index + 1, text })),
        hasMore: false,
      });
    });

    it('gives one order to all, whichever nodes publish', async () => {
      const channel = await RoomChannel.open(world.bus, room);
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? here : there).publish(publication(room))),
      );
      const given = outcomes.map((outcome) => (outcome.status === 'published' ? outcome.position?.offset : undefined));
      expect(given.toSorted((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 60 }, (_, index) => index + 1),
      );
      for (const parity of [0, 1]) {
        const own = given.filter((_, index) => index % 2 === parity);
        expect(own).toEqual(own.toSorted((a, b) => Number(a) - Number(b)));
      }
      const { entries, epoch } = await read();
      expect(await channel.messages()).toEqual(entries.map(({ offset, text }) => `m${offset} ${epoch}\n${text}`));
    });

    it('gives no position and stores nothing without a retention', async () => {
      const channel = await RoomChannel.open(world.bus, room);
      const text = '{}\n"typing",true';
      expect(await here.publish(publication(room, { text, retention: undefined }))).toEqual({ status: 'published' });
      await publish(1);
      await here.publish(publication(room, { text, retention: undefined }));
      const { epoch, offset, entries } = await read();
      expect([offset, entries.length]).toEqual([1, 1]);
      expect(await channel.messages()).toEqual([`m\n${text}`, `m1 ${epoch}\n${entries[0]?.text}`, `m\n${text}`]);
    });

    it('uses the retention that the room was last used with, if it had one', async () => {
      const stored = { retention: 'stored' as const };
      expect(await here.publish(publication(room, stored))).toEqual({ status: 'published' });
      expect(await here.publish(publication(room, { ...stored, id: 'x' }))).toEqual({ status: 'published' });
      expect(await here.publish(publication(room, { ...stored, id: 'x', text: '{}\n"other",1' }))).toEqual({
        status: 'conflict',
      });
      await there.read(room, { size: 2, ttlMs: 60_000 }, { limit: 0 });
      const positions = await publish(4, stored);
      expect(positions.map(({ offset }) => offset)).toEqual([1, 2, 3, 4]);
      expect(await there.read(room, { size: 2, ttlMs: 60_000 }, ALL)).toMatchObject({ start: 2, offset: 4 });
    });

    it('refuses a text that is too large, and nothing has happened', async () => {
      const channel = await RoomChannel.open(world.bus, room);
      const large = publication(room, { text: `{}\n"${'é'.repeat(TIGHT_BYTES / 2)}"` });
      for (const retention of [RETENTION, undefined]) {
        await expect(world.tight.publish({ ...large, retention })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
      }
      expect(await channel.messages()).toEqual([]);
      const fits = await world.tight.publish({ ...large, text: `{}\n"${'x'.repeat(TIGHT_BYTES - 10)}"` });
      expect(fits).toMatchObject({ status: 'published', position: { offset: 1 } });
    });
  });

  describe('when an id comes again', () => {
    it('publishes one of two at the same time, and tells both its position', async () => {
      const channel = await RoomChannel.open(world.bus, room);
      for (let round = 1; round <= 20; round += 1) {
        const same = publication(room);
        const outcomes = await Promise.all([here.publish(same), there.publish(same)]);
        expect(outcomes.map(({ status }) => status).sort()).toEqual(['published', 'repeat']);
        const position = { epoch: expect.any(String), offset: round };
        expect(outcomes).toEqual([expect.objectContaining({ position }), expect.objectContaining({ position })]);
      }
      expect(await channel.messages()).toHaveLength(20);
      expect(offsets(await read())).toHaveLength(20);
    });

    it('knows it without a position where nothing is kept', async () => {
      const channel = await RoomChannel.open(world.bus, room);
      const same = publication(room, { retention: undefined });
      expect([await here.publish(same), await there.publish(same)]).toEqual([
        { status: 'published' },
        { status: 'repeat' },
      ]);
      expect(await channel.messages()).toHaveLength(1);
    });

    it('refuses another payload under it, and publishes nothing', async () => {
      const channel = await RoomChannel.open(world.bus, room);
      const first = publication(room, { text: '{}\n"a",1' });
      const { position } = await here.publish(first);
      const conflict = { status: 'conflict', position };
      expect(await there.publish({ ...first, text: '{}\n"a",2' })).toEqual(conflict);
      expect(await there.publish({ ...first, text: '{"b":["AA=="]}\n"a",1' })).toEqual(conflict);
      expect(await channel.messages()).toHaveLength(1);
      expect((await read()).offset).toBe(1);
    });

    it('takes it for the same when only the header differs: another node may know less of who is excluded', async () => {
      const first = publication(room, { text: '{"x":["c1"],"d":[["ada","tab"]],"b":["AA=="]}\n"a",1' });
      await here.publish(first);
      const again = await there.publish({ ...first, text: '{"b":["AA=="],"x":["c1"]}\n"a",1' });
      expect(again).toMatchObject({ status: 'repeat', position: { offset: 1 } });
    });

    it('tells it apart by publisher and by room', async () => {
      const first = publication(room, { id: '1', publisher: 'user:ada' });
      await here.publish(first);
      const other = publication(`${room}/2`, { id: '1', publisher: 'user:ada' });
      const outcomes = [await here.publish({ ...first, publisher: 'user:bob' }), await here.publish(other)];
      expect(outcomes.map(({ status }) => status)).toEqual(['published', 'published']);
    });

    it('knows its position after it was trimmed, removed or cleared', async () => {
      const first = publication(room, { retention: { size: 1, ttlMs: 60_000 } });
      const outcome = await here.publish(first);
      await here.publish(publication(room, { retention: first.retention }));
      expect(await there.publish(first)).toEqual({ ...outcome, status: 'repeat' });
      await here.clear(room);
      expect(await there.publish(first)).toEqual({ ...outcome, status: 'repeat' });
    });

    it('forgets it after its own window, and keeps none at 0', async () => {
      const none = publication(room, { windowMs: 0 });
      await here.publish(none);
      expect(await there.publish(none)).toMatchObject({ status: 'published', position: { offset: 2 } });
      const short = publication(room, { windowMs: 30 });
      await here.publish(short);
      await eventually(async () => expect((await there.publish(short)).status).toBe('published'));
    });
  });

  describe('when a log is read', () => {
    it('is made by that, at offset 0', async () => {
      const empty = await read({ after: undefined });
      expect(empty).toEqual({ epoch: empty.epoch, offset: 0, start: 0, forks: {}, entries: [], hasMore: false });
      expect(await publish(1)).toEqual([{ epoch: empty.epoch, offset: 1 }]);
    });

    it('gives the oldest after an offset, the newest before one, or the newest of all', async () => {
      await publish(10);
      const cases: [Partial<LogRange>, number[], boolean][] = [
        [{ after: 0, limit: 3 }, [1, 2, 3], true],
        [{ after: 7, limit: 3 }, [8, 9, 10], false],
        [{ after: 8, limit: 3 }, [9, 10], false],
        [{ after: 10, limit: 3 }, [], false],
        [{ after: 1_000, limit: 3 }, [], false],
        [{ after: undefined, limit: 3 }, [8, 9, 10], true],
        [{ after: undefined, before: 8, limit: 3 }, [5, 6, 7], true],
        [{ after: undefined, before: 4, limit: 3 }, [1, 2, 3], false],
        [{ after: undefined, before: 1, limit: 3 }, [], false],
        [{ after: undefined, before: 1_000, limit: 100 }, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false],
        [{ after: 2, before: 6, limit: 100 }, [3, 4, 5], false],
        [{ after: 2, before: 6, limit: 2 }, [3, 4], true],
        [{ after: 0, limit: 0 }, [], true],
      ];
      for (const [range, expected, hasMore] of cases) {
        const page = await read(range);
        expect([range, offsets(page), page.hasMore]).toEqual([range, expected, hasMore]);
      }
    });

    it('takes any number for a bound', async () => {
      await publish(3);
      const numbers = [-1, -1e30, 1e30, Number.NaN, Infinity, 0.5, Number.MAX_SAFE_INTEGER];
      for (const number of numbers) {
        for (const range of [{ after: number }, { after: undefined, before: number }, { limit: number }]) {
          const page = await read(range);
          expect(offsets(page).length).toBeLessThanOrEqual(3);
          expect(page.offset).toBe(3);
        }
      }
      expect(offsets(await read({ after: Number.NaN }))).toEqual([1, 2, 3]);
    });

    it('gives no more than its own bounds, however much is asked for', async () => {
      const retention = { size: 10_000, ttlMs: 600_000 };
      for (let i = 0; i < 8; i += 1) await publish(200, { retention, windowMs: 0 });
      const forwards = await there.read(room, retention, { after: 0, limit: 1e9, maxBytes: 1e12 });
      expect([offsets(forwards).length, offsets(forwards).at(-1), forwards.hasMore]).toEqual([
        MAX_LOG_ENTRIES,
        1_000,
        true,
      ]);
      const backwards = await there.read(room, retention, { limit: 1e9 });
      expect([offsets(backwards).length, offsets(backwards)[0], backwards.hasMore]).toEqual([
        MAX_LOG_ENTRIES,
        601,
        true,
      ]);
      const large = `{}\n"${'x'.repeat(200_000)}"`;
      await publish(8, { retention, text: large, windowMs: 0 });
      expect(offsets(await there.read(room, retention, { limit: 1e9, maxBytes: 1e12 }))).toHaveLength(
        Math.floor(MAX_LOG_BYTES / large.length),
      );
    });

    it('cuts at maxBytes, but gives one entry whatever its size', async () => {
      await publish(4, { text: `{}\n"${'é'.repeat(48)}"` }); // 101 bytes
      const pages: [Partial<LogRange>, number[]][] = [
        [{ after: 0, maxBytes: 202 }, [1, 2]],
        [{ after: 0, maxBytes: 201 }, [1]],
        [{ after: 0, maxBytes: 1 }, [1]],
        [{ after: undefined, maxBytes: 202 }, [3, 4]],
        [{ after: undefined, maxBytes: 0 }, [4]],
      ];
      for (const [range, expected] of pages) {
        const page = await read(range);
        expect([range, offsets(page), page.hasMore]).toEqual([range, expected, true]);
      }
      expect(await read({ maxBytes: 404 })).toMatchObject({ hasMore: false });
    });

    it('leaves out what has expired by itself, and counts it nowhere', async () => {
      await publish(2);
      await publish(3, { expiresInMs: 0 });
      await publish(1, { expiresInMs: 600_000 });
      expect(await read({ limit: 3 })).toMatchObject({ start: 0, offset: 6, hasMore: false });
      expect(offsets(await read({ limit: 3 }))).toEqual([1, 2, 6]);
      expect(offsets(await read({ after: undefined, before: 6, limit: 2 }))).toEqual([1, 2]);
      expect(await read({ after: 2, before: 6 })).toMatchObject({ entries: [], hasMore: false });
      await publish(1, { expiresInMs: 60 });
      await eventually(async () => expect(offsets(await read())).toEqual([1, 2, 6]));
      expect((await read()).start).toBe(0);
    });

    it('finds what is behind very many that have expired', async () => {
      const retention = { size: 10_000, ttlMs: 600_000 };
      await publish(2, { retention });
      for (let i = 0; i < 14; i += 1) await publish(200, { retention, expiresInMs: 0, windowMs: 0 });
      await publish(2, { retention });
      expect(offsets(await there.read(room, retention, { after: 1, limit: 2 }))).toEqual([2, 2_803]);
      expect(offsets(await there.read(room, retention, { after: 1, limit: 20 }))).toEqual([2, 2_803, 2_804]);
      const newest = await there.read(room, retention, { limit: 3 });
      expect([offsets(newest), newest.hasMore]).toEqual([[2, 2_803, 2_804], true]);
    });

    it('gives the states of many rooms in their order', async () => {
      const rooms = Array.from({ length: 1_100 }, (_, index) => `${room}/${index}`);
      await Promise.all([7, 1_099].map((index) => here.publish(publication(`${room}/${index}`))));
      const states = await there.states(rooms.map((each) => ({ room: each, retention: RETENTION })));
      expect(states).toHaveLength(1_100);
      expect(states.flatMap(({ offset }, index) => (offset > 0 ? [index] : []))).toEqual([7, 1_099]);
      expect(new Set(states.map(({ epoch }) => epoch)).size).toBe(1_100);
      expect(await there.states([{ room: `${room}/7`, retention: RETENTION }])).toEqual([states[7]]);
    });
  });

  describe('when retention ends', () => {
    it('keeps the newest by size, and says exactly from where everything is there', async () => {
      const retention = { size: 3, ttlMs: 60_000 };
      for (let offset = 1; offset <= 7; offset += 1) {
        await publish(1, { retention });
        const page = await there.read(room, retention, ALL);
        expect([page.start, offsets(page)[0]]).toEqual([Math.max(offset - 3, 0), Math.max(offset - 2, 1)]);
      }
      expect(await there.read(room, { size: 1, ttlMs: 60_000 }, ALL)).toMatchObject({ start: 6 });
      await here.publish(publication(room, { retention: { size: 1_000, ttlMs: 60_000 } }));
      expect(await there.read(room, { size: 1_000, ttlMs: 60_000 }, ALL)).toMatchObject({ start: 4, offset: 8 });
    });

    it('does not count holes as trimmed', async () => {
      const retention = { size: 4, ttlMs: 60_000 };
      const positions = await publish(4, { retention });
      expect(await here.remove(room, positions[0] as Position)).toBe(true);
      expect(await here.remove(room, positions[2] as Position)).toBe(true);
      const page = await there.read(room, retention, ALL);
      expect([page.start, offsets(page)]).toEqual([0, [2, 4]]);
      await publish(1, { retention });
      expect(await there.read(room, retention, ALL)).toMatchObject({ start: 1 });
    });

    it('leaves out what is too old, entry by entry, and keeps the numbers', async () => {
      const retention = { size: 1_000, ttlMs: 500 };
      const first = await publish(40, { retention });
      await eventually(async () =>
        expect(await there.read(room, retention, ALL)).toMatchObject({ start: 40, entries: [] }),
      );
      // Young ones are there: of those, too, a pause of this test may make old ones.
      const page = await eventually(async () => {
        const [newest] = await publish(1, { retention });
        const found = await there.read(room, retention, ALL);
        expect(offsets(found)).toContain(newest?.offset);
        return found;
      });
      expect([page.epoch, page.start >= 40]).toEqual([first[0]?.epoch, true]);
      expect(offsets(page)).toEqual(Array.from({ length: page.offset - page.start }, (_, i) => page.start + 1 + i));
      await eventually(async () =>
        expect(await there.states([{ room, retention }])).toMatchObject([{ start: page.offset, offset: page.offset }]),
      );
    });

    it('finds the border between old and young ones', async () => {
      const retention = { size: 1_000, ttlMs: 600_000 };
      const old = await publish(30, { retention });
      const between = performance.now() + 40;
      await eventually(() => expect(performance.now()).toBeGreaterThan(between + 40));
      const young = await publish(5, { retention });
      const page = await eventually(async () => {
        const ttlMs = performance.now() - between;
        const found = await there.read(room, { size: 1_000, ttlMs }, ALL);
        expect(found.start).toBe(old.length);
        return found;
      });
      expect(offsets(page)).toEqual(young.map(({ offset }) => offset));
    });
  });

  describe('when something is erased', () => {
    it('clears all, counts on, and makes earlier positions unrecoverable', async () => {
      const [first] = await publish(5);
      await here.clear(room);
      expect(await read()).toMatchObject({ epoch: first?.epoch, start: 5, offset: 5, entries: [], hasMore: false });
      expect(await publish(1)).toEqual([{ epoch: first?.epoch, offset: 6 }]);
      const page = await read();
      expect([page.start, offsets(page)]).toEqual([5, [6]]);
    });

    it('clears nothing where there is nothing', async () => {
      await here.clear(room);
      expect(await publish(1)).toMatchObject([{ offset: 1 }]);
    });

    it('removes one, once', async () => {
      const positions = await publish(3);
      const second = positions[1] as Position;
      expect([await here.remove(room, second), await there.remove(room, second)]).toEqual([true, false]);
      expect(offsets(await read())).toEqual([1, 3]);
      expect(await publish(1)).toMatchObject([{ offset: 4 }]);
    });

    it('removes nothing that is not there any more, never was, or has no such number', async () => {
      const retention = { size: 2, ttlMs: 60_000 };
      const [trimmed] = await publish(4, { retention });
      const [expired] = await publish(1, { retention, expiresInMs: 0 });
      const { epoch } = trimmed as Position;
      expect(await here.remove(room, trimmed as Position)).toBe(false);
      expect(await here.remove(room, expired as Position)).toBe(false);
      for (const offset of [0, -1, 6, 1e30, 1.5, Number.NaN])
        expect(await here.remove(room, { epoch, offset })).toBe(false);
    });

    it('refuses a position of an epoch that it does not know', async () => {
      await expect(here.remove(room, { epoch: 'none', offset: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      const [first] = await publish(1);
      for (const epoch of ['none', '', `${first?.epoch} `]) {
        await expect(here.remove(room, { epoch, offset: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      }
      expect(offsets(await read())).toEqual([1]);
    });
  });
});

describe('the contract of room logs', () => {
  it('ran on every engine, and on two at least', () => {
    expect([...ran]).toEqual(Object.keys(ROOM_LOGS));
    expect(ran.size).toBeGreaterThanOrEqual(2);
  });
});
