import { ManualClock } from '../testing/manual-clock.js';
import { EventLoopLag } from './event-loop-lag.js';

/** The histogram is filled by a native timer: turns the loop until it has run. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

describe('when the event loop stalls', () => {
  it('shows the stall until a whole second without one has passed', async () => {
    const clock = new ManualClock();
    const lag = new EventLoopLag(clock);
    const stallEnds = performance.now() + 300;
    while (performance.now() < stallEnds) continue;
    await until(() => lag.currentMs > 200);
    expect(lag.currentMs).toBeLessThan(5_000);
    clock.advance(1_000);
    expect(lag.currentMs).toBeGreaterThan(200);
    clock.advance(1_000);
    expect(lag.currentMs).toBeLessThan(200);
    lag.close();
    expect(clock.pending).toBe(0);
  });
});
