import { lasting } from '../../support/lasting.js';
import type { TcpProxy } from '../../support/tcp-proxy.js';
import { between, shuffled } from './random.js';

export const FAULTS = ['cut', 'stall', 'delay'] as const;
type Fault = (typeof FAULTS)[number];

/** How long one of each lasts, in milliseconds. */
const LASTS: Readonly<Record<Fault, readonly [from: number, to: number]>> = {
  cut: [100, 1_500],
  stall: [300, 4_000],
  delay: [500, 2_000],
};
const CALM_MS = [200, 1_500] as const;
const DELAY_MS = [20, 400] as const;

/** Bad weather over one proxy: seeded faults, one after the other with calm between, each kind as often as the others. */
export class Weather {
  readonly seen: Record<Fault, number> = { cut: 0, stall: 0, delay: 0 };

  private next: Fault[] = [];

  constructor(
    private readonly proxy: TcpProxy,
    private readonly random: () => number,
  ) {}

  /** Resolves when `forMs` are over and the last fault has ended. */
  async blow(forMs: number): Promise<void> {
    const endsAt = performance.now() + forMs;
    while (performance.now() < endsAt) {
      await this.last(CALM_MS);
      if (this.next.length === 0) this.next = shuffled(FAULTS, this.random);
      await this.begin(this.next.pop() ?? 'cut');
    }
  }

  private async begin(fault: Fault): Promise<void> {
    this.seen[fault] += 1;
    if (fault === 'delay') this.proxy.delay(between(...DELAY_MS, this.random));
    else this.proxy[fault]();
    await this.last(LASTS[fault]);
    this.proxy.heal();
  }

  private last([from, to]: readonly [number, number]): Promise<void> {
    return lasting(between(from, to, this.random));
  }
}
