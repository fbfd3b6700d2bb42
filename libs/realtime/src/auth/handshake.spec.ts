import { findToken, MAX_TOKEN_BYTES, redactToken, withToken, type RealtimeHandshake } from './handshake.js';

const handshake = (parts: Partial<RealtimeHandshake> = {}): RealtimeHandshake => ({
  namespace: '/',
  auth: {},
  headers: {},
  query: {},
  address: '127.0.0.1',
  url: '/socket.io/',
  ...parts,
});
const found = (token: string) => ({ kind: 'token', token });

describe('when a handshake is searched for a token', () => {
  it.each([
    ['a number', 5],
    ['a text', 'token'],
    ['a boolean', true],
    ['an array', ['token']],
    ['a token that is a number', { token: 123 }],
    ['a token that is an object', { token: { toString: 'x' } }],
    ['a token that is an array', { token: ['a'] }],
    ['a token of 100 KB', { token: 'a'.repeat(100_000) }],
    ['a token one byte too long', { token: 'a'.repeat(MAX_TOKEN_BYTES + 1) }],
    ['a token too long in bytes alone', { token: '\u20ac'.repeat(MAX_TOKEN_BYTES / 2) }],
  ])('calls %s malformed', (_name, auth) => {
    expect(findToken(handshake({ auth }))).toEqual({ kind: 'malformed' });
  });

  it.each([
    ['null', null],
    ['undefined', undefined],
    ['an empty object', {}],
    ['an empty token', { token: '' }],
    ['a null token', { token: null }],
    ['a token in the prototype key', JSON.parse('{"__proto__":{"token":"x"}}')],
  ])('finds none in %s', (_name, auth: unknown) => {
    expect(findToken(handshake({ auth }))).toEqual({ kind: 'none' });
  });

  it('asks auth, then the header, then the cookie', () => {
    const headers = { authorization: 'Bearer b', cookie: 'a=1; session=c' };
    const sources = { cookie: 'session' };
    expect(findToken(handshake({ auth: { token: 'a' }, headers }), sources)).toEqual(found('a'));
    expect(findToken(handshake({ headers }), sources)).toEqual(found('b'));
    expect(findToken(handshake({ headers: { cookie: headers.cookie } }), sources)).toEqual(found('c'));
    expect(findToken(handshake({ headers: { cookie: headers.cookie } }))).toEqual({ kind: 'none' });
  });

  it.each(['Basic abc', 'Bearer', 'Bearer ', 'Bearer a b', 'token'])('takes no token from "%s"', (authorization) => {
    expect(findToken(handshake({ headers: { authorization } }))).toEqual({ kind: 'none' });
  });

  it('survives hostile cookies', () => {
    const cookie = '__proto__=x; session=%E0%A4%A; =; ;;';
    expect(findToken(handshake({ headers: { cookie } }), { cookie: 'session' })).toEqual(found('%E0%A4%A'));
    expect(findToken(handshake({ headers: { cookie } }), { cookie: 'constructor' })).toEqual({ kind: 'none' });
  });

  it('reads the query only when allowed', () => {
    const query = { token: 'q' };
    expect(findToken(handshake({ query }))).toEqual({ kind: 'none' });
    expect(findToken(handshake({ query }), { allowQueryToken: true })).toEqual(found('q'));
    expect(findToken(handshake({ query: { token: ['q', 'r'] } }), { allowQueryToken: true })).toEqual({
      kind: 'malformed',
    });
  });
});

describe('when a token is replaced or hidden', () => {
  it('puts the new token first and keeps the rest', () => {
    const old = handshake({ auth: { token: 'old', tenant: 't' }, headers: { authorization: 'Bearer b' } });
    expect(withToken(old, 'new').auth).toEqual({ token: 'new', tenant: 't' });
    expect(findToken(withToken(handshake({ auth: 5 }), 'new'))).toEqual(found('new'));
  });

  it('redacts tokens of an address for the log', () => {
    expect(redactToken('/socket.io/?EIO=4&token=secret&access_token=s2&x=1')).toBe(
      '/socket.io/?EIO=4&token=[redacted]&access_token=[redacted]&x=1',
    );
  });
});
