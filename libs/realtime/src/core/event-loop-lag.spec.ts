import { ManualClock } from '../testing/manual-clock.js';
import { EventLoopLag } from './event-loop-lag.js';

const STALL_MS = 300;

async function stall(): Promise<void> {
  const endsAt = performance.now() + STALL_MS;
  while (performance.now() < endsAt) continue;
  await new Promise((resolve) => setImmediate(resolve));
}

describe('when the event loop stalls', () => {
  it('shows the stall until a whole second without one has passed', async () => {
    const clock = new ManualClock();
    const bornAt = performance.now();
    const lag = new EventLoopLag(clock);
    // A delay is the time between two ticks of the native timer, so the first stall may only bring the first tick.
    for (let attempt = 0; attempt < 20 && lag.currentMs < 200; attempt += 1) await stall();
    expect(lag.currentMs).toBeGreaterThan(200);
    expect(lag.currentMs).toBeLessThanOrEqual(performance.now() - bornAt);
    clock.advance(1_000);
    expect(lag.currentMs).toBeGreaterThan(200);
    clock.advance(1_000);
    expect(lag.currentMs).toBeLessThan(200);
    lag.close();
    expect(clock.pending).toBe(0);
  });
});
