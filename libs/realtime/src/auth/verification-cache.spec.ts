import { createSecretKey } from 'node:crypto';
import { verificationKey } from './jwt-keys.js';
import { VerificationCache } from './verification-cache.js';

const key = verificationKey(createSecretKey(Buffer.from('secret')), undefined);
const entry = (sub: string, expiresAtMs = 1_000) => ({ claims: { sub }, key, expiresAtMs });
const alive = (): boolean => true;

describe('when good signatures are remembered', () => {
  it('lets the least recently used one go', () => {
    const cache = new VerificationCache(2);
    cache.set('a', entry('a'));
    cache.set('b', entry('b'));
    expect(cache.get('a', 0, alive)).toEqual({ sub: 'a' });
    cache.set('c', entry('c'));
    expect(cache.get('b', 0, alive)).toBeUndefined();
    expect([cache.get('a', 0, alive), cache.get('c', 0, alive), cache.size]).toEqual([{ sub: 'a' }, { sub: 'c' }, 2]);
  });

  it('forgets a token at its end, and when its key is gone', () => {
    const cache = new VerificationCache(10);
    cache.set('a', entry('a', 1_000));
    cache.set('b', entry('b', 1_000));
    expect(cache.get('a', 999, alive)).toBeDefined();
    expect(cache.get('a', 1_000, alive)).toBeUndefined();
    expect(cache.get('b', 999, () => false)).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  it('remembers nothing when it is off', () => {
    const cache = new VerificationCache(0);
    cache.set('a', entry('a'));
    expect(cache.size).toBe(0);
  });
});
