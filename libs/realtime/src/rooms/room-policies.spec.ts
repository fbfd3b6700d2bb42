import { RoomPolicies, type DeclaredPolicy } from './room-policies.js';
import type { RoomPolicyOptions } from './room-policy.js';

const policy = (pattern: string, options: RoomPolicyOptions = {}): DeclaredPolicy => ({
  ...{ pattern, options, name: 'ChatPolicy' },
  policy: { canJoin: () => true },
});

describe('what rooms keep', () => {
  it("is what the most specific policy says; users' own rooms have no policy", () => {
    const user = { size: 100, ttlMs: 86_400_000 };
    const policies = new RoomPolicies(user);
    const history = { size: 200, ttlMs: 600_000 };
    policies.load([policy('chat/:id', { history }), policy('chat/lobby'), policy('user/:id', { history })]);
    const rooms = ['chat/42', 'chat/lobby', 'other', 'user/ada'];
    expect(rooms.map((room) => policies.retentionOf(room))).toEqual([history, undefined, undefined, user]);
    expect(new RoomPolicies().retentionOf('user/ada')).toBeUndefined();
  });

  it.each<[unknown, string[]]>([
    [{ size: 1, ttlMs: 1_000 }, []],
    [{ size: 10_000, ttlMs: 8.64e15 }, []],
    [{ size: 0, ttlMs: 1_000 }, ['size']],
    [{ size: 10_001, ttlMs: 1_000 }, ['size']],
    [{ size: 1.5, ttlMs: 999 }, ['size', 'ttlMs']],
    [{ size: '5', ttlMs: NaN }, ['size', 'ttlMs']],
    [{ size: 5 }, ['ttlMs']],
    [{}, ['size', 'ttlMs']],
    [null, ['size', 'ttlMs']],
    [true, ['size', 'ttlMs']],
    [200, ['size', 'ttlMs']],
  ])('has to be whole numbers within bounds: %j', (history, fields) => {
    const load = (): void => new RoomPolicies().load([policy('chat/:id', { history } as never)]);
    if (fields.length === 0) return expect(load).not.toThrow();
    for (const field of fields)
      expect(load).toThrow(`@RoomPolicy('chat/:id') on ChatPolicy: history.${field}: must be`);
  });
});
