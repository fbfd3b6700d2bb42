import type { Credentials } from './authenticator.js';
import { Revocations, type Revocation } from './revocations.js';

const NOW = 1_000_000_000;
const DAY = 86_400_000;
const credentials = (issuedAtMs?: number, more: Partial<Credentials> & { sessionId?: string } = {}): Credentials => ({
  principal: { id: 'ada', roles: [], scopes: [], claims: {}, sessionId: more.sessionId },
  tokenId: more.tokenId,
  issuedAtMs,
});
const withOne = (revocation: Partial<Revocation>): Revocations => {
  const revocations = new Revocations();
  revocations.add({ at: NOW, ...revocation });
  return revocations;
};

describe('when something was revoked', () => {
  it.each<[string, Partial<Revocation>, Credentials, boolean]>([
    ['a token of the user from before', { userId: 'ada' }, credentials(NOW - 1), true],
    ['a token of the user from then on', { userId: 'ada' }, credentials(NOW), false],
    ['a token of unknown age', { userId: 'ada' }, credentials(), true],
    ['another user', { userId: 'bob' }, credentials(NOW - 1), false],
    ['a token before issuedBefore', { userId: 'ada', issuedBefore: NOW - 50 }, credentials(NOW - 51), true],
    ['a token after issuedBefore', { userId: 'ada', issuedBefore: NOW - 50 }, credentials(NOW - 50), false],
    ['of unknown age, with issuedBefore', { userId: 'ada', issuedBefore: 5 }, credentials(), true],
    ['the token itself', { tokenId: 't1' }, credentials(NOW + 5, { tokenId: 't1' }), true],
    ['another token', { tokenId: 't1' }, credentials(NOW - 5, { tokenId: 't2' }), false],
    ['a token of the session', { tokenId: 's1' }, credentials(NOW, { tokenId: 't2', sessionId: 's1' }), true],
    ['nobody', {}, credentials(NOW - 1), false],
    ['a user by an inherited name', { userId: '__proto__' }, credentials(NOW - 1), false],
  ])('judges %s', (_name, revocation, asked, expected) => {
    expect(withOne(revocation).isRevoked(asked)).toBe(expected);
  });

  it('keeps the stronger of two, in whatever order they come', () => {
    const weak = { userId: 'ada', issuedBefore: NOW - 500, at: NOW + 1 };
    const strong = { userId: 'ada', at: NOW, reason: 'left' };
    for (const order of [
      [weak, strong],
      [strong, weak],
      [strong, strong, weak],
    ]) {
      const revocations = new Revocations();
      order.forEach((one) => revocations.add(one));
      expect(revocations.find(credentials(NOW - 1))?.reason).toBe('left');
      expect(revocations.active()).toEqual([strong]);
    }
  });

  it('forgets it when the last token that it hits has expired', () => {
    const revocations = withOne({ userId: 'ada' });
    revocations.add({ tokenId: 't1', at: NOW + 5 });
    revocations.add({ userId: 'bob', issuedBefore: NOW + DAY, at: NOW });
    revocations.prune(NOW + DAY, DAY);
    expect(revocations.size).toBe(3);
    revocations.prune(NOW + DAY + 1, DAY);
    expect(revocations.active().map(({ userId, tokenId }) => userId ?? tokenId)).toEqual(['bob', 't1']);
    revocations.prune(NOW + 2 * DAY + 1, DAY);
    expect(revocations.size).toBe(0);
  });
});
