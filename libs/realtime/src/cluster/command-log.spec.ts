import { ttlOf } from './command-log.js';

describe('how long a command is kept', () => {
  const options = { revokeTtlMs: 3_600_000 };
  const code = 'LIMIT_EXCEEDED';

  it("is a token's life for a revocation, and the time of an outage for the others", () => {
    expect(ttlOf({ kind: 'revoke', userId: 'u', at: 1 }, options)).toBe(3_600_000);
    expect(ttlOf({ kind: 'kick', room: 'r', userId: 'u' }, options)).toBe(600_000);
    expect(ttlOf({ kind: 'disconnect', userId: 'u', code }, { ...options, actionTtlMs: 100 })).toBe(100);
  });

  it('is short for what clients cause by connecting: the end of the transport that a newer one replaces', () => {
    expect(ttlOf({ kind: 'disconnect', transportId: 't', code }, options)).toBe(60_000);
    expect(ttlOf({ kind: 'disconnect', transportId: 't', code }, { ...options, actionTtlMs: 100 })).toBe(100);
  });
});
