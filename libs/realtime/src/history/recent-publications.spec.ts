import type { Numbered } from './continuity.js';
import { RecentPublications } from './recent-publications.js';

const message = (offset: number, bytes = 10): Numbered => ({
  position: { epoch: 'e', offset },
  text: 'x'.repeat(bytes),
});
const messages = (from: number, to: number): Numbered[] =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index));

function start(maxBytes = 1_000_000, size = 1_000) {
  const recent = new RecentPublications(maxBytes);
  const room = recent.open('r', size, 10);
  const offsets = (): number[] => room.entries.map(({ offset }) => offset);
  return { recent, room, offsets };
}

describe('what a node remembers of a room', () => {
  it('begins where the room does, and goes on with what is delivered', () => {
    const { room, offsets } = start();
    expect(room).toMatchObject({ completeAfter: 10, isWhole: false, isFull: false });
    for (const one of messages(11, 13)) room.push(one);
    expect(offsets()).toEqual([11, 12, 13]);
    expect(room.completeAfter).toBe(10);
  });

  it('keeps no more than a client may recover: 300, or 256 KiB', () => {
    const { room, offsets } = start();
    for (const one of messages(11, 311)) room.push(one);
    expect(offsets()).toHaveLength(300);
    expect(room).toMatchObject({ completeAfter: 11, isFull: true });
    room.push(message(312, 262_144));
    expect(offsets()).toEqual([312]);
    room.push(message(313, 262_145));
    expect(offsets()).toEqual([]);
    expect(room.completeAfter).toBe(313);
  });

  it('keeps no more than the log, and is whole even so', () => {
    const { room, offsets } = start(1_000_000, 3);
    room.loadOlder(messages(9, 10), 8, false);
    for (const one of messages(11, 13)) room.push(one);
    expect(offsets()).toEqual([11, 12, 13]);
    expect(room).toMatchObject({ completeAfter: 10, isWhole: true });
  });

  it('puts what was loaded before what came meanwhile, once', () => {
    const { room, offsets } = start();
    room.push(message(11));
    room.loadOlder(messages(5, 11), 2, true);
    expect(offsets()).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect(room).toMatchObject({ completeAfter: 4, isWhole: false, isFull: true });
    room.loadOlder([message(4), message(6)], 2, false);
    expect(offsets()).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    expect(room).toMatchObject({ completeAfter: 2, isWhole: true });
  });

  it('forgets with the log, and what was erased', () => {
    const { room, offsets } = start();
    room.loadOlder(messages(5, 10), 4, false);
    room.trim(7);
    room.erase(9);
    room.erase(100);
    expect(offsets()).toEqual([8, 10]);
    expect(room).toMatchObject({ completeAfter: 7, isWhole: true });
    room.reset(20);
    expect(offsets()).toEqual([]);
    expect(room).toMatchObject({ completeAfter: 20, isWhole: false, isFull: false });
  });
});

describe('what a node remembers of all rooms', () => {
  it('is bounded: the room that nobody used for longest loses its oldest first', () => {
    const { recent, room } = start(2_000);
    const other = recent.open('s', 1_000, 0);
    for (const one of messages(11, 14)) room.push(one);
    recent.evict();
    expect(recent.size).toBe(4 * 266);
    recent.touch(room);
    for (const one of messages(1, 4)) other.push(one);
    recent.evict();
    expect(other.entries.map(({ offset }) => offset)).toEqual([2, 3, 4]);
    expect(other).toMatchObject({ completeAfter: 1, isFull: false });
    expect(room.entries).toHaveLength(4);
  });

  it('leaves alone what a join relies on', () => {
    const { recent, room } = start(0);
    room.pins = 1;
    room.push(message(11));
    recent.evict();
    expect(room.entries).toHaveLength(1);
    room.pins = 0;
    recent.evict();
    expect(room.entries).toHaveLength(0);
    expect(recent.size).toBe(0);
  });

  it('forgets a room that is closed', () => {
    const { recent, room } = start();
    room.push(message(11));
    recent.close(room);
    expect(recent.size).toBe(0);
    recent.touch(room);
    recent.evict();
  });
});
