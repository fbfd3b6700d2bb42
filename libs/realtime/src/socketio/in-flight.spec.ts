import { ManualClock } from '../testing/manual-clock.js';
import { InFlight } from './in-flight.js';
import { Message } from './message.js';

function begin(inFlight: InFlight, clock: ManualClock): { message: Message; answers: unknown[] } {
  const answers: unknown[] = [];
  const message = new Message(
    'event',
    (value) => answers.push(value),
    clock.now(),
    (one) => inFlight.delete(one),
  );
  inFlight.add(message);
  return { message, answers };
}

describe('messages in flight', () => {
  it('are answered TIMEOUT once, after the deadline and within a sweep', () => {
    const clock = new ManualClock();
    const inFlight = new InFlight(clock, 30_000);
    const old = begin(inFlight, clock);
    clock.advance(20_000);
    const young = begin(inFlight, clock);
    clock.advance(9_999);
    expect(old.answers).toEqual([]);
    clock.advance(1_001);
    expect(old.answers).toEqual([{ error: expect.objectContaining({ code: 'TIMEOUT', retryable: true }) }]);
    expect(young.answers).toEqual([]);
    old.message.answer('too late');
    expect(old.answers).toHaveLength(1);
  });

  it('keep no timer while there are none, and tell when the last is answered', async () => {
    const clock = new ManualClock();
    const inFlight = new InFlight(clock, 30_000);
    const { message, answers } = begin(inFlight, clock);
    let isIdle = false;
    const idle = inFlight.whenIdle().then(() => (isIdle = true));
    expect(isIdle).toBe(false);
    message.answer(undefined);
    await idle;
    expect(answers).toEqual([null]);
    clock.advance(2_000);
    expect(clock.pending).toBe(0);
  });
});
