import { SilentTransports } from './silent-transports.js';

describe('when transports of an address say nothing', () => {
  it('counts each IPv4 address and each IPv6 /64 for itself, until they speak', () => {
    const silent = new SilentTransports(2);
    const [one, two, three] = [{}, {}, {}];
    silent.add(one, '2001:db8::1');
    expect(silent.isFull('2001:db8::2')).toBe(false);
    silent.add(two, '2001:db8::2');
    silent.add(three, '1.1.1.1');
    expect(['2001:db8::3', '2001:db8:0:1::1', '1.1.1.1'].map((address) => silent.isFull(address))).toEqual([
      true,
      false,
      false,
    ]);
    silent.end(one);
    silent.end(one);
    expect(silent.isFull('2001:db8::3')).toBe(false);
    for (const transport of [two, three, {}]) silent.end(transport);
    expect(silent.size).toBe(0);
    expect((silent as unknown as { counts: Map<string, number> }).counts.size).toBe(0);
  });

  it('counts nothing without a limit', () => {
    const silent = new SilentTransports(0);
    silent.add({}, '1.1.1.1');
    expect([silent.size, silent.isFull('1.1.1.1')]).toEqual([0, false]);
  });
});
