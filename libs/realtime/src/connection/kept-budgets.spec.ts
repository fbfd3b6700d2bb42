import { KeptBudgets } from './kept-budgets.js';
import { TransportBudget } from './transport-budget.js';

describe('what users had left on transports that are gone', () => {
  let now = 0;
  const flood = {
    rate: { perSecond: 10, burst: 20 },
    abuse: { perSecond: 1, burst: 5 },
    now: () => now,
    onRefused: () => undefined,
  };
  const budgetWith = (tokens: number): TransportBudget => Object.assign(new TransportBudget(flood), { tokens });
  let kept: KeptBudgets;

  beforeEach(() => {
    now = 0;
    kept = new KeptBudgets(() => now);
  });

  it('is not kept while it is all, and goes when it would be all again', () => {
    kept.keep('a', budgetWith(20));
    expect(kept.size).toBe(0);
    kept.keep('a', budgetWith(10));
    expect(kept.size).toBe(1);
    now = 1_000;
    kept.keep('b', budgetWith(19));
    expect(kept.size).toBe(1);
    now = 1_100;
    kept.resume('b', budgetWith(20));
    expect(kept.size).toBe(0);
  });

  it('gives the next transport what has flowed in since, and never more than it has', () => {
    kept.keep('a', budgetWith(0));
    now = 500;
    const next = budgetWith(20);
    kept.resume('a', next);
    expect(next.tokens).toBe(5);
    const poor = budgetWith(1);
    kept.resume('a', poor);
    expect(poor.tokens).toBe(1);
  });

  it('keeps refusals, too', () => {
    const abuser = budgetWith(0);
    for (let nth = 0; nth < 6; nth += 1) abuser.takeMessage();
    expect(abuser.isAbused).toBe(true);
    kept.keep('a', abuser);
    now = 1_000;
    const next = new TransportBudget(flood);
    kept.resume('a', next);
    next.tokens = 0;
    next.takeMessage();
    expect(next.isAbused).toBe(true);
  });

  it('holds a bounded number of users, the latest', () => {
    for (let nth = 0; nth < 10_005; nth += 1) kept.keep(`user ${nth}`, budgetWith(0));
    expect(kept.size).toBe(10_000);
    const first = budgetWith(20);
    kept.resume('user 0', first);
    expect(first.tokens).toBe(20);
    kept.resume('user 10004', first);
    expect(first.tokens).toBe(0);
  });

  it('counts nothing without a limit', () => {
    const free = new TransportBudget({ ...flood, rate: { perSecond: 0, burst: 0 } });
    for (let nth = 0; nth < 100; nth += 1) expect(free.takeMessage() ?? free.takeConnect()).toBeUndefined();
    kept.keep('a', free);
    expect(kept.size).toBe(0);
  });
});
