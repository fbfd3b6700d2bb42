import { jest } from '@jest/globals';
import type { PresenceCount, PresenceDiff, PresenceState, PresenceUser } from 'nestjs-realtime-protocol';
import { ManualClock } from '../testing/manual-clock.js';
import { HostedPresence, type HostedPresenceOptions } from './hosted-presence.js';
import type { PresenceChange } from './presence-store.js';

type Read = { limit: number; answer: (state: Partial<PresenceState>) => Promise<void>; fail: () => Promise<void> };

const user = (id: string, ...devices: string[]): PresenceUser => ({
  id,
  devices: devices.map((device) => ({ device })),
});
const ada = user('ada', 'd');
const bob = user('bob', 'd');

/** A hosted room over a store whose answers the test gives. */
function host(options: Partial<HostedPresenceOptions> = {}) {
  const clock = new ManualClock();
  const reads: Read[] = [];
  const emitted: (PresenceDiff | PresenceCount)[] = [];
  const dropped: string[] = [];
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const hosted = new HostedPresence({
    room: 'r',
    clock,
    store: {
      read: (_, limit) =>
        new Promise((resolve, reject) => {
          reads.push({
            limit,
            answer: (state) => {
              const users = state.users;
              resolve({ epoch: 'e', version: 0, count: users?.length ?? 0, ...state });
              return settle();
            },
            fail: () => {
              reject(new Error('away'));
              return settle();
            },
          });
        }),
    },
    emit: (payload) => emitted.push(payload),
    metrics: { dropped: (kind) => dropped.push(kind) },
    ...options,
  });
  const change = (version: number, who: PresenceUser, more: Partial<PresenceChange> = {}): void =>
    hosted.onChange(JSON.stringify({ epoch: 'e', version, user: who, count: 1, ...more }));
  const opened = async (state: Partial<PresenceState>): Promise<void> => {
    const opening = hosted.open();
    await reads.at(-1)?.answer(state);
    await opening;
  };
  return { clock, reads, emitted, dropped, hosted, change, opened };
}

describe('when a room is opened', () => {
  it('applies what was published during the read after it', async () => {
    const { clock, emitted, hosted, change, opened, reads } = host();
    change(1, user('zed', 'd'));
    const opening = hosted.open();
    change(5, ada);
    change(6, bob);
    await reads[0]?.answer({ version: 5, users: [ada] });
    await opening;
    expect(hosted.state()).toEqual({ epoch: 'e', version: 5, count: 1, users: [ada] });
    clock.advance(100);
    expect(emitted).toEqual([{ room: 'r', epoch: 'e', from: 5, to: 6, join: [bob] }]);
    expect(hosted.state()).toEqual({ epoch: 'e', version: 6, count: 2, users: [ada, bob] });
    await opened({});
    expect(reads).toHaveLength(1);
  });

  it('shares one read, rejects when the store is away, and may be tried again', async () => {
    const { hosted, opened, reads } = host();
    const both = Promise.allSettled([hosted.open(), hosted.open()]);
    await reads[0]?.fail();
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await opened({ version: 3, users: [ada] });
    expect(reads).toHaveLength(2);
    expect(hosted.state()).toMatchObject({ version: 3, users: [ada] });
  });

  it('reads again when even the read left a hole', async () => {
    const { clock, hosted, change, reads } = host();
    const opening = hosted.open();
    change(9, bob);
    await reads[0]?.answer({ version: 5, users: [ada] });
    await clock.advanceAsync(5_000);
    await reads[1]?.answer({ version: 9, users: [ada, bob] });
    await opening;
    await clock.advanceAsync(100);
    expect(hosted.state()).toMatchObject({ version: 9, count: 2 });
  });
});

describe('when changes follow', () => {
  it('tells all of one window in one diff', async () => {
    const { clock, emitted, change, opened } = host();
    await opened({ version: 1, users: [ada] });
    change(2, bob);
    clock.advance(50);
    change(3, user('ada'));
    change(4, user('cyd', 'd'));
    change(5, user('cyd'));
    clock.advance(49);
    expect(emitted).toEqual([]);
    clock.advance(1);
    expect(emitted).toEqual([{ room: 'r', epoch: 'e', from: 1, to: 5, join: [bob], leave: ['ada'] }]);
    expect(clock.pending).toBe(0);
  });

  it('repairs a hole by one read, however many ask', async () => {
    const { clock, emitted, hosted, change, opened, reads } = host();
    await opened({ version: 1, users: [] });
    change(3, bob);
    change(4, ada);
    void hosted.resync();
    expect(reads).toHaveLength(2);
    change(5, user('cyd', 'd'));
    await reads[1]?.answer({ version: 4, users: [ada, bob] });
    clock.advance(100);
    expect(emitted).toEqual([{ room: 'r', epoch: 'e', from: 1, to: 5, join: [ada, bob, user('cyd', 'd')] }]);
    expect(reads).toHaveLength(2);
  });

  it('retries with a growing pause while the store is away', async () => {
    // The longest that the jitter allows.
    const random = jest.spyOn(Math, 'random').mockReturnValue(1);
    const { clock, hosted, opened, reads, dropped } = host();
    await opened({ version: 1, users: [] });
    const resynced = hosted.resync();
    const pausesMs = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];
    for (const [failures, pauseMs] of pausesMs.entries()) {
      await reads.at(-1)?.fail();
      await clock.advanceAsync(pauseMs - 1);
      expect(reads).toHaveLength(failures + 2);
      await clock.advanceAsync(1);
      expect(reads).toHaveLength(failures + 3);
    }
    random.mockRestore();
    expect(dropped).toEqual(pausesMs.map(() => 'presence-read'));
    await reads.at(-1)?.answer({ version: 2, users: [ada] });
    await resynced;
    await clock.advanceAsync(100);
    expect(hosted.state()).toMatchObject({ users: [ada] });
  });

  it('answers joins from what it told while it is repaired', async () => {
    const { clock, hosted, opened, reads } = host();
    await opened({ version: 1, users: [ada] });
    void hosted.resync();
    await reads[1]?.fail();
    await hosted.open();
    expect(reads).toHaveLength(2);
    expect(hosted.state()).toEqual({ epoch: 'e', version: 1, count: 1, users: [ada] });
    hosted.close();
    expect(clock.pending).toBe(0);
  });

  it('reads at once when it hears that the store is back', async () => {
    const { clock, hosted, opened, reads } = host();
    await opened({ version: 1, users: [] });
    const resynced = hosted.resync();
    await reads[1]?.fail();
    expect(reads).toHaveLength(2);
    void hosted.resync();
    await Promise.resolve();
    expect(reads).toHaveLength(3);
    await reads[2]?.answer({ version: 1, users: [] });
    await resynced;
    clock.advance(100);
    expect(clock.pending).toBe(0);
  });

  it('counts and ignores garbage', async () => {
    const { hosted, dropped, opened, reads } = host();
    await opened({ version: 1, users: [] });
    for (const garbage of ['', 'x', '{}', '[]', '{"epoch":1}']) hosted.onChange(garbage);
    expect(dropped).toEqual(Array(5).fill('presence-malformed'));
    expect(reads).toHaveLength(1);
  });
});

describe('when the position is checked', () => {
  it.each([
    { seen: { epoch: 'e', version: 7 }, reads: 1 },
    { seen: { epoch: 'e', version: 8 }, reads: 2 },
    { seen: { epoch: 'e', version: 6 }, reads: 2 },
    { seen: { epoch: 'f', version: 7 }, reads: 2 },
    { seen: undefined, reads: 2 },
  ])('reads the room again only if it differs: $seen', async ({ seen, reads: expected }) => {
    const { hosted, opened, reads } = host();
    await opened({ version: 7, users: [ada] });
    void hosted.check(seen);
    expect(reads).toHaveLength(expected);
  });

  it('agrees about an empty room', async () => {
    const { hosted, opened, reads } = host();
    await opened({ epoch: '', version: 0, users: [] });
    await hosted.check(undefined);
    expect(reads).toHaveLength(1);
  });
});

describe('when the storage came back empty', () => {
  it('announces nobody who is restored in time, and then those who are not', async () => {
    const { clock, emitted, hosted, opened, reads, change } = host();
    await opened({ version: 40, users: [ada, bob] });
    void hosted.check(undefined);
    await reads[1]?.answer({ epoch: '', version: 0, users: [] });
    await clock.advanceAsync(1_000);
    change(1, ada, { epoch: 'f', quiet: true });
    await clock.advanceAsync(4_999);
    expect(emitted).toEqual([]);
    expect(hosted.state()).toMatchObject({ version: 40, users: [ada, bob] });
    await clock.advanceAsync(1);
    expect(emitted).toEqual([{ room: 'r', epoch: 'f', from: 40, to: 1, leave: ['bob'] }]);
    expect(clock.pending).toBe(0);
  });
});

describe('when a room becomes too large to list', () => {
  const crowd = Array.from({ length: 10 }, (_, index) => user(`u${index}`, 'd'));

  it('tells counts only, and the whole list again at 80 %', async () => {
    const { clock, emitted, hosted, change, opened, reads } = host({ maxListed: 10 });
    await opened({ version: 10, users: crowd });
    change(11, ada, { count: 11, bytes: 0 });
    await clock.advanceAsync(100);
    expect(emitted).toEqual([{ room: 'r', count: 11 }]);
    expect(hosted.state()).toEqual({ epoch: 'e', version: 11, count: 11 });
    change(12, user('u0'), { count: 10, bytes: 0 });
    change(13, user('u1'), { count: 9, bytes: 0 });
    await clock.advanceAsync(100);
    expect(reads).toHaveLength(1);
    change(14, user('u2'), { count: 8, bytes: 0 });
    await clock.advanceAsync(100);
    expect(reads.map(({ limit }) => limit)).toEqual([10, 8]);
    const left = [...crowd.slice(3), ada];
    await reads[1]?.answer({ version: 14, users: left });
    await clock.advanceAsync(100);
    expect(emitted.slice(1)).toEqual([
      { room: 'r', count: 9 },
      { room: 'r', count: 8 },
      { room: 'r', epoch: 'e', from: 0, to: 14, join: left },
    ]);
  });

  it('does so for metadata, too, without a read for each change', async () => {
    const { clock, emitted, change, opened, reads } = host();
    await opened({ version: 1, users: [] });
    change(2, ada, { count: 1, bytes: 131_073 });
    await clock.advanceAsync(100);
    change(3, bob, { count: 2, bytes: 131_000 });
    await clock.advanceAsync(100);
    expect(emitted).toEqual([
      { room: 'r', count: 1 },
      { room: 'r', count: 2 },
    ]);
    expect(reads).toHaveLength(1);
    change(4, bob, { count: 2, bytes: 100_000 });
    await clock.advanceAsync(100);
    expect(reads).toHaveLength(2);
  });

  it('opens counted, and needs no repair for a hole', async () => {
    const { clock, emitted, hosted, change, opened, reads } = host({ maxListed: 10 });
    await opened({ version: 500, count: 400 });
    expect(hosted.state()).toEqual({ epoch: 'e', version: 500, count: 400 });
    change(505, ada, { count: 405, bytes: 0 });
    change(504, ada, { count: 404, bytes: 0 });
    await clock.advanceAsync(100);
    expect(emitted).toEqual([{ room: 'r', count: 405 }]);
    expect(reads).toHaveLength(1);
  });

  it('does not count down and up while a lost room is restored', async () => {
    const { clock, emitted, hosted, change, opened, reads } = host({ maxListed: 10 });
    await opened({ version: 500, count: 400 });
    void hosted.check(undefined);
    await reads[1]?.answer({ epoch: '', version: 0, users: [] });
    change(1, ada, { epoch: 'f', count: 1, bytes: 0 });
    await reads[2]?.answer({ epoch: 'f', version: 1, users: [ada] });
    await clock.advanceAsync(2_000);
    change(2, ada, { epoch: 'f', count: 400, bytes: 0 });
    await clock.advanceAsync(10_000);
    expect(emitted).toEqual([]);
    expect(hosted.state()).toMatchObject({ epoch: 'f', count: 400 });
  });
});

describe('when it is closed', () => {
  it('leaves no timer, ends its retries and says nothing any more', async () => {
    const { clock, emitted, hosted, change, opened, reads } = host();
    await opened({ version: 1, users: [] });
    change(2, ada);
    const resynced = hosted.resync();
    await reads[1]?.fail();
    hosted.close();
    await resynced;
    change(3, bob);
    await clock.advanceAsync(60_000);
    expect([emitted, clock.pending, reads.length]).toEqual([[], 0, 2]);
  });
});
