import { ManualClock } from './manual-clock.js';

describe('when a test moves the clock', () => {
  it('runs due timers in order of their due time, each at its own moment', () => {
    const clock = new ManualClock();
    const seen: string[] = [];
    clock.after(20, () => seen.push(`b@${clock.now()}`));
    clock.after(10, () => seen.push(`a@${clock.now()}`));
    clock.after(20, () => seen.push(`c@${clock.now()}`));
    clock.advance(15);
    expect(seen).toEqual(['a@10']);
    clock.advance(100);
    expect(seen).toEqual(['a@10', 'b@20', 'c@20']);
    expect(clock.now()).toBe(115);
    expect(clock.pending).toBe(0);
  });

  it('runs intervals once for each period, and timers that were armed on the way', () => {
    const clock = new ManualClock();
    const seen: number[] = [];
    const stop = clock.every(10, () => {
      seen.push(clock.now());
      if (clock.now() === 20) clock.after(5, () => seen.push(clock.now()));
    });
    clock.advance(35);
    stop();
    clock.advance(100);
    expect(seen).toEqual([10, 20, 25, 30]);
  });

  it('forgets a timer that was cancelled, also from within another task', () => {
    const clock = new ManualClock();
    const seen: string[] = [];
    clock.after(5, () => cancel());
    const cancel = clock.after(5, () => seen.push('late'));
    clock.advance(10);
    expect(seen).toEqual([]);
  });

  it('lets promises settle between timers', async () => {
    const clock = new ManualClock();
    const seen: string[] = [];
    const wait = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
    const run = async (): Promise<void> => {
      await wait(10);
      seen.push(`first@${clock.now()}`);
      await wait(10);
      seen.push(`second@${clock.now()}`);
    };
    const running = run();
    await clock.advanceAsync(25);
    await running;
    expect(seen).toEqual(['first@10', 'second@20']);
  });

  it('jumps the wall clock alone', () => {
    const clock = new ManualClock(1_000);
    clock.advance(50);
    clock.jumpUnix(-500);
    expect([clock.now(), clock.unixNow()]).toEqual([50, 550]);
  });
});
