import { ManualClock } from '../testing/manual-clock.js';
import { FailedConnects } from './failed-connects.js';

describe('when CONNECTs of an address fail', () => {
  let clock: ManualClock;
  let failures: FailedConnects;

  const start = (perSecond: number, burst: number): void => {
    clock = new ManualClock();
    failures = new FailedConnects(
      { perSecond, burst },
      () => clock.now(),
      () => 0.5,
    );
  };
  const fail = (address: string, times: number): void => {
    for (let nth = 0; nth < times; nth += 1) failures.count(address);
  };

  beforeEach(() => start(5, 20));

  it('asks transports that have failed to wait when half is used, and others when all is', () => {
    fail('1.1.1.1', 10);
    expect([failures.waitMs('1.1.1.1', true), failures.waitMs('1.1.1.1', false)]).toEqual([0, 0]);
    fail('1.1.1.1', 1);
    expect([failures.waitMs('1.1.1.1', true), failures.waitMs('1.1.1.1', false)]).toEqual([3_000, 0]);
    fail('1.1.1.1', 9);
    expect(failures.waitMs('1.1.1.1', false)).toBe(3_000);
    expect(failures.waitMs('1.1.1.2', true)).toBe(0);
    clock.advance(200);
    expect([failures.waitMs('1.1.1.1', true), failures.waitMs('1.1.1.1', false)]).toEqual([3_000, 0]);
  });

  it('counts those that were checked at a time, and says how long they last', () => {
    fail('1.1.1.1', 40);
    expect(failures.waitMs('1.1.1.1', false)).toBe(4_200);
    clock.advance(4_200);
    expect(failures.waitMs('1.1.1.1', false)).toBe(0);
  });

  it('counts an IPv6 /64 as one', () => {
    for (let nth = 0; nth < 20; nth += 1) failures.count(`2001:db8::${nth.toString(16)}`);
    expect(failures.waitMs('2001:db8::ffff', false)).toBeGreaterThan(0);
    expect(failures.waitMs('2001:db8:0:1::1', false)).toBe(0);
    expect(failures.size).toBe(1);
  });

  it('forgets an address whose failures are long ago, and the oldest of more than 10 000', () => {
    fail('1.1.1.1', 20);
    clock.advance(4_000);
    expect([failures.waitMs('1.1.1.1', true), failures.size]).toEqual([0, 0]);
    fail('first', 20);
    for (let nth = 0; nth < 10_000; nth += 1) failures.count(`address ${nth}`);
    expect(failures.size).toBe(10_000);
    expect(failures.waitMs('first', false)).toBe(0);
  });

  it('counts nothing without a limit', () => {
    start(0, 20);
    fail('1.1.1.1', 100);
    expect([failures.size, failures.waitMs('1.1.1.1', true)]).toEqual([0, 0]);
  });
});
