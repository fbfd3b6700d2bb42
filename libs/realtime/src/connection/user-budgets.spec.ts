import { ManualClock } from '../testing/manual-clock.js';
import { resolveLimitsOptions } from '../limits/limits-options.js';
import { floodLimit } from './flood-limit.js';
import { TransportBudget, type FloodLimit } from './transport-budget.js';

let live = 0;

/** One of the only user who has several. */
class Transport extends TransportBudget {
  constructor(flood: FloodLimit) {
    super(flood);
    live += 1;
  }

  end(): void {
    live -= 1;
    this.leaveUser();
  }
}

const limits = { messagesPerSecond: 10, burst: 20, joinsPerSecond: 10, joinBurst: 30, newRoomsPerSecond: 20 };

describe('when a user has several transports', () => {
  let clock: ManualClock;
  let flood: FloodLimit;
  let refused: string[];

  const use = (options: object = {}): void => {
    clock = new ManualClock();
    refused = [];
    live = 0;
    flood = floodLimit(resolveLimitsOptions({ ...limits, ...options }), {
      now: () => clock.now(),
      onRefused: (option) => refused.push(option),
      transportsOf: (userId, most) => (userId === 'ada' ? Math.min(live, most) : 1),
    });
  };
  const tableSize = (): number => flood.users?.size ?? -1;
  /** How many of these a transport may send. */
  const send = (transport: TransportBudget, count: number, user = 'ada'): number =>
    Array.from({ length: count }, () => transport.takeMessage(user)).filter((refusal) => !refusal).length;
  const join = (transport: TransportBudget, count: number, isNew = false): number =>
    Array.from({ length: count }, () => transport.takeJoin({ userId: 'ada', isNew, ahead: 0 })).filter((one) => !one)
      .length;

  beforeEach(() => use());

  it('lets no more through by reconnects than one transport would, over a minute', () => {
    let sent = 0;
    for (let nth = 0; nth < 600; nth += 1) {
      const transport = new Transport(flood);
      transport.takeConnect();
      sent += send(transport, 19);
      transport.end();
      clock.advance(100);
    }
    // A burst and a minute's worth, and one for rounding.
    expect(sent).toBeLessThanOrEqual(20 + 600 + 1);
    expect(sent).toBeGreaterThanOrEqual(600);
    expect(new Set(refused)).toEqual(new Set(['userShares']));
  });

  it('lets a moderate user reconnect as often as it likes, and many at a time', () => {
    const transports = Array.from({ length: 15 }, () => new Transport(flood));
    for (let round = 0; round < 300; round += 1) {
      for (const [place, transport] of transports.entries()) {
        expect(send(transport, 1)).toBe(1);
        transport.end();
        transports[place] = new Transport(flood);
      }
      clock.advance(100);
    }
    expect(refused).toEqual([]);
  });

  it('gives a new transport what the last one has left, and what has flowed in since', () => {
    const first = new Transport(flood);
    expect(send(first, 20)).toBe(20);
    first.end();
    clock.advance(500);
    const next = new Transport(flood);
    expect(send(next, 20)).toBe(6);
    expect(next.takeMessage('ada')).toMatchObject({ code: 'RATE_LIMITED', retryable: true, retryAfterMs: 100 });
    expect(next.takeMessage('bob')).toBeDefined();
    expect(send(new Transport(flood), 20, 'bob')).toBe(20);
  });

  it('never refuses a transport that is within its own limit, whatever the others do', () => {
    const transports = Array.from({ length: 20 }, () => new Transport(flood));
    for (let round = 0; round < 50; round += 1) {
      for (const [place, transport] of transports.entries()) send(transport, (round * 7 + place * 3) % 25);
      clock.advance((round * 137) % 900);
    }
    expect(refused).toContain('messagesPerSecond');
    expect(refused).not.toContain('userShares');
  });

  it('gives them 20 shares together, and ends no transport for what is beyond', () => {
    use({ abuse: { maxRefusals: 5 } });
    const transports = Array.from({ length: 30 }, () => new Transport(flood));
    const sent = transports.reduce((sum, transport) => sum + send(transport, 20), 0);
    expect(sent).toBe(20 * 21);
    expect(transports.some(({ isAbused }) => isAbused)).toBe(false);
    expect(new Set(refused)).toEqual(new Set(['userShares']));
    clock.advance(1_000);
    const later = transports.reduce((sum, transport) => sum + send(transport, 10), 0);
    expect(later).toBe(20 * 10);
  });

  it('counts joins in the same way, and a stranger on the transport of a user with it', () => {
    const first = new Transport(flood);
    expect(join(first, 40)).toBe(30);
    first.end();
    const next = new Transport(flood);
    expect(join(next, 40)).toBe(1);
    expect(next.takeJoin({ userId: undefined, isNew: false, ahead: 0 })).toBeDefined();
    expect(new Set(refused)).toEqual(new Set(['joinsPerSecond', 'userShares']));
  });

  it('says of each join that is refused when it may come, one after the other', () => {
    const transport = new Transport(flood);
    join(transport, 30);
    const waits = [0, 1, 2].map((ahead) => transport.takeJoin({ userId: 'ada', isNew: false, ahead })?.retryAfterMs);
    expect(waits).toEqual([100, 200, 300]);
  });

  it('counts rooms that are new on the node for all transports of the user', () => {
    use({ userShares: 2, joinsPerSecond: 0 });
    const transports = Array.from({ length: 3 }, () => new Transport(flood));
    const joined = transports.map((transport) => join(transport, 25, true));
    expect(joined).toEqual([25, 25, 10]);
    expect(refused).toContain('newRoomsPerSecond');
  });

  it('forgets a user whose budget is full again, and counts its transports anew', () => {
    const [one, two] = [new Transport(flood), new Transport(flood)];
    send(one, 15);
    send(two, 15);
    expect(tableSize()).toBe(1);
    clock.advance(2_000);
    send(new Transport(flood), 1, 'bob');
    expect(tableSize()).toBe(1);
    expect([send(one, 20), send(two, 20)]).toEqual([20, 20]);
    clock.advance(5_000);
    expect(tableSize()).toBe(2);
    one.end();
    expect(tableSize()).toBe(1);
    two.end();
    expect(tableSize()).toBe(1);
  });

  it('forgets the oldest of more than 10 000 users', () => {
    const first = new Transport(flood);
    send(first, 20, 'user 0');
    first.end();
    for (let nth = 1; nth <= 10_000; nth += 1) send(new Transport(flood), 20, `user ${nth}`);
    expect(tableSize()).toBe(10_000);
    expect(send(new Transport(flood), 20, 'user 0')).toBe(20);
  });

  it('counts nothing for strangers, nor without limits', () => {
    for (let nth = 0; nth < 3; nth += 1) expect(send(new Transport(flood), 20, undefined)).toBe(20);
    use({ messagesPerSecond: 0, joinsPerSecond: 0, newRoomsPerSecond: 0 });
    const free = new Transport(flood);
    expect([send(free, 1_000), join(free, 1_000, true)]).toEqual([1_000, 1_000]);
    free.end();
    expect(tableSize()).toBe(0);
    use({ userShares: 0 });
    expect(flood.users).toBeUndefined();
    expect(send(new Transport(flood), 20)).toBe(20);
  });
});
