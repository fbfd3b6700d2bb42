import { ManualClock } from '../testing/manual-clock.js';
import { resolveLimitsOptions, type LimitsOptions } from './limits-options.js';
import { TransportLimits } from './transport-limits.js';

const limitsOf = (options: LimitsOptions, clock = new ManualClock()): TransportLimits =>
  new TransportLimits(
    resolveLimitsOptions(options, () => undefined),
    clock,
    () => 0.5,
  );

describe('when transports arrive at a node', () => {
  it('accepts any number without limits', () => {
    const limits = limitsOf({});
    for (let i = 0; i < 1_000; i += 1) expect(limits.admit('1.1.1.1').status).toBe('accepted');
    expect(limits.live).toBe(1_000);
    expect(limits.isAtCapacity).toBe(false);
  });

  it('defers beyond the soft limit and refuses beyond the hard one', () => {
    const limits = limitsOf({ transports: { soft: 1, hard: 2 } });
    expect(limits.admit('1.1.1.1')).toEqual({ status: 'accepted' });
    expect(limits.isAtCapacity).toBe(true);
    expect(limits.admit('1.1.1.2')).toEqual({
      status: 'deferred',
      limit: 'transports.soft',
      code: 'UNAVAILABLE',
      retryAfterMs: 3_000,
    });
    expect(limits.admit('1.1.1.3')).toMatchObject({ status: 'refused', limit: 'transports.hard' });
    expect(limits.live).toBe(2);
    limits.leave('1.1.1.2');
    limits.leave('1.1.1.1');
    expect(limits.admit('1.1.1.3').status).toBe('accepted');
  });

  it('counts each IPv4 address and each IPv6 /64 for itself', () => {
    const limits = limitsOf({ transportsPerIp: 2 });
    const statuses = ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1', '1.1.1.1'].map(
      (address) => limits.admit(address).status,
    );
    expect(statuses).toEqual(['accepted', 'accepted', 'deferred', 'accepted', 'accepted']);
    limits.leave('2001:db8::3');
    limits.leave('2001:db8::1');
    expect(limits.admit('2001:db8::9').status).toBe('accepted');
  });

  it('refuses an address that holds twice its share, so that others find room', () => {
    const limits = limitsOf({ transportsPerIp: 2, transports: { hard: 10 } });
    const statuses = Array.from({ length: 8 }, () => limits.admit('1.1.1.1').status);
    expect(statuses).toEqual([
      ...['accepted', 'accepted', 'deferred', 'deferred'],
      ...['refused', 'refused', 'refused', 'refused'],
    ]);
    expect(limits.admit('1.1.1.1')).toMatchObject({ limit: 'transportsPerIp', code: 'RATE_LIMITED' });
    expect(limits.live).toBe(4);
    expect(limits.admit('1.1.1.2').status).toBe('accepted');
  });

  it('defers those that come too fast, with the time until a token and a spread', () => {
    const clock = new ManualClock();
    const limits = limitsOf({ newTransportsPerSecond: 10 }, clock);
    const statuses = Array.from({ length: 21 }, () => limits.admit('1.1.1.1'));
    expect(statuses.filter(({ status }) => status === 'accepted')).toHaveLength(20);
    expect(statuses.at(-1)).toMatchObject({ limit: 'newTransportsPerSecond', retryAfterMs: 3_100 });
    clock.advance(100);
    expect(limits.admit('1.1.1.1').status).toBe('accepted');
  });

  it('holds nothing once everybody has left', () => {
    const limits = limitsOf({ transportsPerIp: 5 });
    for (let i = 0; i < 500; i += 1) limits.admit(`10.0.${i % 7}.${i % 250}`);
    for (let i = 0; i < 500; i += 1) limits.leave(`10.0.${i % 7}.${i % 250}`);
    limits.leave('10.0.0.0');
    expect(limits.live).toBe(0);
    expect((limits as unknown as { perAddress: Map<string, number> }).perAddress.size).toBe(0);
  });
});
