import { ManualClock } from '../testing/manual-clock.js';
import { RoomRegistry } from '../rooms/room-registry.js';
import type { RoomMember } from '../rooms/room-member.js';
import type { Connection } from './connection.js';
import { Drain } from './drain.js';

function crowd(registry: RoomRegistry, size: number, clock: ManualClock): { told: number[]; closed: number[] } {
  const seen = { told: [] as number[], closed: [] as number[] };
  for (let id = 0; id < size; id += 1) {
    const link = {
      id: `c${id}`,
      isOpen: true,
      emit: () => seen.told.push(clock.now()),
      closeTransport: () => seen.closed.push(clock.now()),
    } as unknown as Connection['link'];
    registry.register({ link, rooms: new Set() } as unknown as RoomMember);
  }
  return seen;
}

describe('when a node drains', () => {
  it('hands its connections over evenly within the window, each told before its transport closes', async () => {
    const clock = new ManualClock();
    const registry = new RoomRegistry();
    const { told, closed } = crowd(registry, 1_000, clock);
    const startedAt = clock.now();
    const done = new Drain({ registry, clock, windowMs: 10_000 }).run();
    await clock.advanceAsync(10_000);
    await done;
    expect(closed).toHaveLength(1_000);
    expect(told).toEqual(closed);
    for (let second = 0; second < 10; second += 1) {
      const inSecond = closed.filter((at) => Math.floor((at - startedAt) / 1_000) === second).length;
      expect(inSecond).toBe(100);
    }
  });

  it('is one drain however often it is asked for, and ends at once without anybody', async () => {
    const drain = new Drain({ registry: new RoomRegistry(), clock: new ManualClock(), windowMs: 10_000 });
    expect(drain.run()).toBe(drain.run());
    await drain.run();
  });
});
