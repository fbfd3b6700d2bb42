import { RealtimeError } from '../core/realtime-error.js';
import { ManualClock } from '../testing/manual-clock.js';
import { PolicyRechecks } from './policy-rechecks.js';
import type { RoomMember } from './room-member.js';
import { PolicyRefusal } from './room-policies.js';
import type { JoinDecision } from './room-policy.js';

class World {
  readonly clock = new ManualClock();
  readonly ends: string[] = [];
  readonly errors: unknown[] = [];
  readonly member = { link: { id: 'c' } } as unknown as RoomMember;
  asked = 0;
  answer: () => JoinDecision | Promise<JoinDecision> = () => ({ allow: true, expiresInMs: 1_000 });
  readonly rechecks = new PolicyRechecks({
    clock: this.clock,
    onEnd: (member, room, code) => {
      this.ends.push(`${room} ${code} at ${this.clock.now()}`);
      this.rechecks.cancel(member, room);
    },
    onError: (error) => this.errors.push(error),
  });

  join(room = 'a', expiresInMs = 1_000, question = this.rechecks.nextQuestion()): void {
    const ask = async (): Promise<JoinDecision> => {
      this.asked += 1;
      return this.answer();
    };
    this.rechecks.set({ member: this.member, room, pattern: room, question, ask }, expiresInMs);
  }
}

const fail = (error: unknown) => (): never => {
  throw error as Error;
};

describe('a policy whose answer expires', () => {
  let world: World;

  beforeEach(() => {
    world = new World();
  });

  it('is asked once in that time, however often the room was joined', async () => {
    for (let index = 0; index < 50; index += 1) world.join();
    expect(world.clock.pending).toBe(1);
    await world.clock.advanceAsync(10_500);
    expect(world.asked).toBe(10);
    expect(world.clock.pending).toBe(1);
  });

  it('is not asked any more after a leave, an end of the connection, or an answer that does not expire', async () => {
    for (const room of ['a', 'b', 'c']) world.join(room);
    world.rechecks.cancel(world.member, 'a');
    await world.clock.advanceAsync(1_000);
    expect(world.asked).toBe(2);
    world.join('b', 0);
    expect(world.clock.pending).toBe(1);
    world.rechecks.cancelAll(world.member);
    expect(world.clock.pending).toBe(0);
    world.join('c');
    world.answer = () => ({ allow: true });
    await world.clock.advanceAsync(10_000);
    expect([world.asked, world.clock.pending]).toEqual([3, 0]);
  });

  it('is not heard any more after a leave while it was asked', async () => {
    let answer: (decision: JoinDecision) => void = () => undefined;
    world.answer = () => new Promise((resolve) => (answer = resolve));
    world.join();
    await world.clock.advanceAsync(1_000);
    world.rechecks.cancel(world.member, 'a');
    answer({ allow: true, expiresInMs: 1_000 });
    await world.clock.advanceAsync(0);
    expect([world.asked, world.clock.pending]).toEqual([1, 0]);
  });

  it.each([
    ['answers no', new PolicyRefusal('ROOM_FULL', undefined, { retryable: true })],
    ['throws an error that is final', new RealtimeError('NOT_FOUND')],
  ])('takes the connection out at once when it %s', async (_, refusal) => {
    world.join();
    world.answer = fail(refusal);
    await world.clock.advanceAsync(1_000);
    expect(world.ends).toEqual(['a FORBIDDEN at 1000']);
    expect([world.errors, world.clock.pending]).toEqual([[], 0]);
  });

  it.each([
    ['an error', new Error('ECONNREFUSED')],
    ['an error that may pass', new RealtimeError('UNAVAILABLE')],
  ])('keeps the connection while it fails with %s, and is asked again until it answers', async (_, error) => {
    world.join();
    world.answer = fail(error);
    await world.clock.advanceAsync(5_000);
    expect(world.asked).toBeGreaterThan(3);
    expect(world.ends).toEqual([]);
    expect(world.errors).toEqual([error]);
    world.answer = () => ({ allow: true, expiresInMs: 1_000 });
    await world.clock.advanceAsync(2_000);
    world.asked = 0;
    await world.clock.advanceAsync(20_000);
    expect(world.asked).toBe(20);
    expect([world.ends, world.clock.pending]).toEqual([[], 1]);
  });

  it.each([
    ['fails', fail(new Error('ECONNREFUSED'))],
    ['never answers', () => new Promise<never>(() => undefined)],
  ])('keeps the connection for 10 times as long when it %s', async (_, answer) => {
    world.join();
    world.answer = answer;
    await world.clock.advanceAsync(60_000);
    expect(world.ends).toEqual(['a UNAVAILABLE at 11000']);
    expect(world.clock.pending).toBe(0);
  });

  it('keeps nobody for more than 10 minutes without an answer', async () => {
    world.join('a', 3_600_000);
    world.answer = fail(new Error('ECONNREFUSED'));
    await world.clock.advanceAsync(3_600_000 + 599_000);
    expect(world.ends).toEqual([]);
    // Not in a rush: from the first pause on they become longer.
    expect(world.asked).toBeLessThan(60);
    await world.clock.advanceAsync(1_000);
    expect(world.ends).toEqual([`a UNAVAILABLE at ${3_600_000 + 600_000}`]);
  });

  it('is believed in the order of the questions', async () => {
    const rejects: ((error: Error) => void)[] = [];
    world.answer = () => new Promise((_, reject) => rejects.push(reject));
    world.join();
    await world.clock.advanceAsync(1_000);
    world.join();
    rejects[0]?.(new PolicyRefusal('FORBIDDEN'));
    await world.clock.advanceAsync(0);
    expect(world.ends).toEqual([]);
    const joined = world.rechecks.nextQuestion();
    await world.clock.advanceAsync(1_000);
    world.join('a', 1_000, joined);
    rejects[1]?.(new PolicyRefusal('FORBIDDEN'));
    await world.clock.advanceAsync(0);
    expect(world.ends).toEqual(['a FORBIDDEN at 2000']);
  });
});
