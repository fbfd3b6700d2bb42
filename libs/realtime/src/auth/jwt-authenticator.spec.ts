import { createHmac, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import jsonwebtoken from 'jsonwebtoken';
import { JwksServer } from '../../../../test/support/jwks-server.js';
import { RealtimeError } from '../core/realtime-error.js';
import { ManualClock } from '../testing/manual-clock.js';
import { resolveAuthOptions, type AuthOptions } from './auth-options.js';
import type { Authenticator } from './authenticator.js';
import { checkAuthOptions } from './check-auth-options.js';
import { createAuthenticator } from './create-authenticator.js';
import type { RealtimeHandshake } from './handshake.js';

const SECRET = 'a shared secret of at least 32 bytes';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();
const RSA_PEM = pem(rsa.publicKey);

const handshakeWith = (token: unknown, namespace = '/'): RealtimeHandshake => ({
  namespace,
  auth: token === undefined ? {} : { token },
  headers: {},
  query: {},
  address: '127.0.0.1',
  url: '/socket.io/?EIO=4',
});

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs by hand whatever header and payload a library would refuse to sign. */
const forge = (header: object, payload: unknown, secret: string = SECRET): string => {
  const input = `${base64(header)}.${base64(payload)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
};

const clock = new ManualClock();
const nowSec = (): number => Math.floor(clock.unixNow() / 1_000);
const claims = (more: object = {}): object => ({ sub: 'ada', iat: nowSec(), exp: nowSec() + 3_600, ...more });
const sign = (payload: object, key: string | KeyObject = SECRET, options: jsonwebtoken.SignOptions = {}): string =>
  jsonwebtoken.sign(payload, key, { algorithm: typeof key === 'string' ? 'HS256' : 'RS256', ...options });

const build = (options: AuthOptions): Promise<Authenticator> => {
  expect(checkAuthOptions(options)).toEqual([]);
  return createAuthenticator(resolveAuthOptions(options), { clock });
};
const context = {};
const refusal = async (call: Promise<unknown>): Promise<RealtimeError> => {
  const error: unknown = await call.then(
    (value) => value,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RealtimeError);
  return error as RealtimeError;
};

const GENERIC = { code: 'UNAUTHORIZED', message: 'Authentication is required', retryable: false };
const EXPIRED = { code: 'TOKEN_EXPIRED', message: 'The token has expired', retryable: true };

beforeAll(() => Logger.overrideLogger(false));
afterEach(() => expect(clock.pending).toBe(0));

describe('when a token is good', () => {
  it('gives its principal, frozen, and what revocation needs', async () => {
    const auth = await build({ jwt: { secret: SECRET } });
    const token = sign(claims({ sid: 's1', jti: 't1', roles: ['admin'], scope: 'read write', deep: { a: [1] } }));
    const { principal, tokenId, issuedAtMs } = await auth.authenticate(handshakeWith(token), context);
    expect(principal).toMatchObject({ id: 'ada', sessionId: 's1', roles: ['admin'], scopes: ['read', 'write'] });
    expect(principal.expiresAt).toBe((nowSec() + 3_600) * 1_000);
    expect([tokenId, issuedAtMs]).toEqual(['t1', nowSec() * 1_000]);
    expect(Object.isFrozen((principal.claims['deep'] as { a: unknown[] }).a)).toBe(true);
  });

  it.each([
    ['an RSA key', { publicKey: RSA_PEM }, () => sign(claims(), rsa.privateKey)],
    ['an RSA key and PSS', { publicKey: RSA_PEM }, () => sign(claims(), rsa.privateKey, { algorithm: 'PS256' })],
    ['an EC key', { publicKey: ec.publicKey }, () => sign(claims(), ec.privateKey, { algorithm: 'ES256' })],
    ['a named key', { publicKeys: { k1: RSA_PEM } }, () => sign(claims(), rsa.privateKey, { keyid: 'k1' })],
    ['the audience', { secret: SECRET, audience: ['x', 'chat'] }, () => sign(claims({ aud: ['chat', 'mail'] }))],
    ['the issuer', { secret: SECRET, issuer: ['https://id'] }, () => sign(claims({ iss: 'https://id' }))],
    ['an end within the tolerance', { secret: SECRET }, () => sign(claims({ exp: nowSec() - 4 }))],
    ['a number as its subject', { secret: SECRET }, () => sign({ ...claims(), sub: 42 })],
    ['the service of the app', { service: new JwtService({ secret: SECRET }) }, () => sign(claims())],
  ])('accepts %s', async (_name, jwt, token) => {
    const auth = await build({ jwt });
    await expect(auth.authenticate(handshakeWith(token()), context)).resolves.toBeDefined();
  });
});

describe('when a token is hostile', () => {
  // Two columns, since Jest takes a missing third for a `done` callback.
  const cases: [string, () => unknown][] = [
    ['absent', () => undefined],
    ['a number', () => 123],
    ['no token at all', () => 'abc'],
    ['unsigned, with alg none', () => `${base64({ alg: 'none' })}.${base64(claims())}.`],
    ['none in capitals', () => `${base64({ alg: 'NoNe' })}.${base64(claims())}.AAAA`],
    ['none with a good signature', () => forge({ alg: 'none' }, claims())],
    ['of an unknown algorithm', () => forge({ alg: 'HS1' }, claims())],
    ['of another HMAC length than it says', () => forge({ alg: 'HS512' }, claims())],
    ['signed with another secret', () => sign(claims(), 'another secret of at least 32 bytes')],
    ['signed with an RSA key', () => sign(claims(), rsa.privateKey)],
    ['expired', () => sign(claims({ exp: nowSec() - 6 }))],
    ['not valid yet', () => sign(claims({ nbf: nowSec() + 6 }))],
    ['without exp', () => sign({ sub: 'ada' })],
    ['with an exp that is a text', () => forge({ alg: 'HS256' }, { sub: 'ada', exp: '9999999999' })],
    ['with an infinite exp', () => forge({ alg: 'HS256' }, { sub: 'ada', exp: null })],
    ['longer-lived than allowed', () => sign(claims({ exp: nowSec() + 90_000 }))],
    ['near its end, but longer-lived than allowed', () => sign(claims({ iat: nowSec() - 90_000 }))],
    ['ending beyond 2^31 ms', () => sign(claims({ exp: nowSec() + 2 ** 31 }))],
    ['with an exp of 1e300', () => forge({ alg: 'HS256' }, { sub: 'ada', exp: 1e300 })],
    ['issued in text', () => forge({ alg: 'HS256' }, claims({ iat: 'x' }))],
    ['without sub', () => sign(claims({ sub: undefined }))],
    ['with an empty sub', () => sign(claims({ sub: '' }))],
    ['with a sub that is an object', () => forge({ alg: 'HS256' }, claims({ sub: { id: 1 } }))],
    ['with a sub of 129 characters', () => sign(claims({ sub: 'a'.repeat(129) }))],
    ['with NUL in its sub', () => sign(claims({ sub: 'a\0b' }))],
    ['with half a character in its sub', () => sign(claims({ sub: 'a\ud800' }))],
    ['posing as anonymous', () => sign(claims({ sub: 'anonymous:c1' }))],
    ['with roles that are a text', () => sign(claims({ roles: 'admin' }))],
    ['with roles that are numbers', () => sign(claims({ roles: [1] }))],
    ['with too many roles', () => sign(claims({ roles: Array.from({ length: 257 }, String) }))],
    ['for an audience that nobody named', () => sign(claims({ aud: 'billing' }))],
    ['with a kid that is an object', () => forge({ alg: 'HS256', kid: { path: '/dev/null' } }, claims())],
    ['with a kid of 1 000 characters', () => forge({ alg: 'HS256', kid: 'k'.repeat(1_000) }, claims())],
    ['with a critical extension', () => forge({ alg: 'HS256', crit: ['b64'], b64: false }, claims())],
    ['not JSON inside', () => jsonwebtoken.sign('text', SECRET)],
    ['a list inside', () => forge({ alg: 'HS256' }, [claims()])],
    ['100 KB long', () => sign(claims({ pad: 'a'.repeat(100_000) }))],
    ['5 KB long', () => sign(claims({ pad: 'a'.repeat(5_000) }))],
  ];

  it.each(cases)('refuses one that is %s, with one answer and no detail', async (name, token) => {
    const auth = await build({ jwt: { secret: SECRET } });
    const error = await refusal(auth.authenticate(handshakeWith(token()), context));
    expect(error.toWire()).toEqual(name === 'expired' ? EXPIRED : GENERIC);
  });

  it.each(cases.slice(1))('refuses one that is %s also where strangers are welcome', async (name, token) => {
    const auth = await build({ jwt: { secret: SECRET } });
    const error = await refusal(auth.authenticate(handshakeWith(token()), { allowAnonymous: true }));
    expect(error.toWire()).toEqual(name === 'expired' ? EXPIRED : GENERIC);
  });

  it.each([
    ['signed by HMAC with the public PEM', () => forge({ alg: 'HS256' }, claims(), RSA_PEM)],
    ['signed by HMAC with the trimmed public PEM', () => forge({ alg: 'HS256' }, claims(), RSA_PEM.trim())],
    ['of another key', () => sign(claims(), otherRsa.privateKey)],
    ['ES256 under an RSA key', () => sign(claims(), ec.privateKey, { algorithm: 'ES256' })],
    ['RS512 where RS256 is pinned', () => sign(claims(), rsa.privateKey, { algorithm: 'RS512' })],
  ])('refuses one that is %s', async (_name, token) => {
    for (const jwt of [{ publicKey: RSA_PEM }, { publicKeys: { k1: RSA_PEM } }]) {
      const auth = await build({ jwt: { ...jwt, algorithms: ['RS256'] } });
      expect((await refusal(auth.authenticate(handshakeWith(token()), context))).toWire()).toEqual(GENERIC);
    }
  });

  it.each(['../../../dev/null', '__proto__', 'constructor', 'k2', "' OR 1=1 --"])(
    'looks for kid %s in the fixed map alone',
    async (keyid) => {
      const auth = await build({ jwt: { publicKeys: { k1: RSA_PEM } } });
      const token = sign(claims(), rsa.privateKey, { keyid });
      expect((await refusal(auth.authenticate(handshakeWith(token), context))).code).toBe('UNAUTHORIZED');
    },
  );

  it.each([
    ['another audience', { audience: 'chat' }, { aud: 'billing' }],
    ['no audience', { audience: 'chat' }, {}],
    ['another issuer', { issuer: 'https://id' }, { iss: 'https://id.evil' }],
    ['no issuer', { issuer: 'https://id' }, {}],
  ])('refuses %s than the options name', async (_name, rule, more) => {
    const auth = await build({ jwt: { secret: SECRET, ...rule } });
    expect((await refusal(auth.authenticate(handshakeWith(sign(claims(more))), context))).code).toBe('UNAUTHORIZED');
  });

  it('refuses through the app’s own service what that service would let pass', async () => {
    const auth = await build({ jwt: { service: new JwtService({ secret: SECRET }), algorithms: ['HS256'] } });
    for (const token of [sign({ sub: 'ada' }), sign(claims(), SECRET, { algorithm: 'HS512' })])
      expect((await refusal(auth.authenticate(handshakeWith(token), context))).code).toBe('UNAUTHORIZED');
  });
});

describe('when claims are mapped by the app', () => {
  it('asks each time, with frozen claims, though the signature is remembered', async () => {
    let asked = 0;
    const auth = await build({
      jwt: { secret: SECRET },
      principal: async (own) => ({ id: `u${(asked += 1)}`, roles: [String(Object.isFrozen(own))] }),
    });
    const handshake = handshakeWith(sign(claims()));
    const ids = [await auth.authenticate(handshake, context), await auth.authenticate(handshake, context)];
    expect(ids.map(({ principal }) => principal.id)).toEqual(['u1', 'u2']);
    expect(ids[0]?.principal.roles).toEqual(['true']);
  });

  it.each([
    ['nothing', () => null, 'UNAUTHORIZED'],
    ['no id', () => ({ id: '' }), 'UNAUTHORIZED'],
    ['a RealtimeError', () => Promise.reject(new RealtimeError('FORBIDDEN', 'Banned')), 'FORBIDDEN'],
    ['a bug', () => Promise.reject(new TypeError('x is undefined')), 'INTERNAL'],
  ])('answers %s', async (_name, principal, code) => {
    const auth = await build({ jwt: { secret: SECRET }, principal });
    const error = await refusal(auth.authenticate(handshakeWith(sign(claims())), context));
    expect([error.code, error.message.includes('undefined')]).toEqual([code, false]);
  });

  it('gives up at the deadline', async () => {
    const auth = await build({ jwt: { secret: SECRET }, principal: () => new Promise<never>(() => undefined) });
    const call = refusal(auth.authenticate(handshakeWith(sign(claims())), context));
    await clock.advanceAsync(5_000);
    expect((await call).toWire()).toMatchObject({ code: 'TIMEOUT', retryable: true });
  });
});

describe('when the app checks handshakes itself', () => {
  it('takes its answer, in that namespace alone', async () => {
    const auth = await build({
      jwt: { secret: SECRET },
      namespaces: { '/legacy': { verify: ({ auth }) => ({ id: (auth as { token: string }).token }) }, '/open': false },
    });
    const { principal } = await auth.authenticate(handshakeWith('bob', '/legacy'), context);
    expect(principal).toEqual({ id: 'bob', roles: [], scopes: [], claims: {} });
    expect((await refusal(auth.authenticate(handshakeWith('bob'), context))).code).toBe('UNAUTHORIZED');
    expect([auth.covers('/legacy'), auth.covers('/open'), auth.covers('/')]).toEqual([true, false, true]);
    expect((await refusal(auth.authenticate(handshakeWith('bob', '/open'), context))).code).toBe('UNAUTHORIZED');
  });

  const thrower = (error: unknown) => () => {
    throw error;
  };
  it.each([
    ['nothing', () => undefined, 'UNAUTHORIZED'],
    ['false', () => false as const, 'UNAUTHORIZED'],
    ['a synchronous throw', thrower(new Error('db password')), 'UNAUTHORIZED'],
    ['a thrown text', thrower('no'), 'UNAUTHORIZED'],
    ['a thrown null', thrower(null), 'UNAUTHORIZED'],
    ['an expired token', thrower(new jsonwebtoken.TokenExpiredError('jwt expired', new Date(0))), 'TOKEN_EXPIRED'],
    ['credentials that ended', () => ({ id: 'a', expiresAt: 5 }), 'TOKEN_EXPIRED'],
    ['an HTTP 403', thrower({ getStatus: () => 403 }), 'FORBIDDEN'],
    ['an HTTP 503', thrower({ getStatus: () => 503 }), 'UNAVAILABLE'],
  ])('answers %s without telling why', async (_name, verify, code) => {
    const auth = await build({ verify });
    const error = await refusal(auth.authenticate(handshakeWith('t'), { allowAnonymous: true }));
    expect([error.code, error.message.includes('password')]).toEqual([code, false]);
  });
});

describe('when nobody signs in', () => {
  it('admits strangers only where the caller says so', async () => {
    const auth = await build({ jwt: { secret: SECRET } });
    const stranger = await auth.authenticate(handshakeWith(undefined), { allowAnonymous: true });
    expect(stranger.principal).toMatchObject({ isAnonymous: true, roles: [] });
    expect(stranger.principal.id).toMatch(/^anonymous:[\w-]{16}$/);
    expect((await refusal(auth.authenticate(handshakeWith(undefined), context))).toWire()).toEqual(GENERIC);
  });
});

describe('when a live connection gets a new token', () => {
  it('accepts the same subject with its new claims, and no other', async () => {
    const auth = await build({ jwt: { secret: SECRET } });
    const handshake = handshakeWith(sign(claims({ roles: ['a'] })));
    const { principal } = await auth.authenticate(handshake, context);
    const renewed = await auth.refresh(sign(claims({ roles: ['b'] })), principal, handshake);
    expect(renewed.principal.roles).toEqual(['b']);
    const others = [sign(claims({ sub: 'bob' })), '', undefined, 5, null, { token: 'x' }, 'a'.repeat(100_000)];
    for (const other of others)
      expect((await refusal(auth.refresh(other, principal, handshake))).toWire()).toEqual(GENERIC);
    const expired = sign(claims({ exp: nowSec() - 60 }));
    expect((await refusal(auth.refresh(expired, principal, handshake))).code).toBe('TOKEN_EXPIRED');
  });
});

describe('when keys come from a JWKS', () => {
  const tokenOf = (key: KeyObject, keyid?: string, more: object = {}): string =>
    sign(claims(more), key, keyid === undefined ? {} : { keyid });

  it('fetches once, accepts both keys of a rotation, and forgets verifications with their key', async () => {
    await using jwks = await JwksServer.start();
    jwks.publish({ k1: rsa.publicKey });
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    const old = handshakeWith(tokenOf(rsa.privateKey, 'k1'));
    await Promise.all(Array.from({ length: 20 }, () => auth.authenticate(old, context)));
    expect(jwks.requests).toHaveLength(1);

    jwks.publish({ k1: rsa.publicKey, k2: otherRsa.publicKey });
    await auth.authenticate(handshakeWith(tokenOf(otherRsa.privateKey, 'k2')), context);
    await auth.authenticate(old, context);
    expect(jwks.requests).toHaveLength(2);

    jwks.publish({ k2: otherRsa.publicKey });
    clock.advance(600_000);
    expect((await refusal(auth.authenticate(old, context))).code).toBe('UNAUTHORIZED');
    expect(jwks.requests).toHaveLength(3);
  });

  it('fetches once a minute for unknown kids, however many come', async () => {
    await using jwks = await JwksServer.start();
    jwks.publish({ k1: rsa.publicKey });
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    await auth.authenticate(handshakeWith(tokenOf(rsa.privateKey, 'k1')), context);
    const flood = () =>
      Promise.all(
        Array.from({ length: 30 }, () =>
          refusal(
            auth.authenticate(handshakeWith(tokenOf(otherRsa.privateKey, randomBytes(6).toString('hex'))), context),
          ),
        ),
      );
    const first = await flood();
    expect(new Set(first.map(({ code }) => code))).toEqual(new Set(['UNAUTHORIZED']));
    expect(jwks.requests).toHaveLength(2);
    clock.advance(30_000);
    await flood();
    expect(jwks.requests).toHaveLength(2);
    clock.advance(30_000);
    await flood();
    expect(jwks.requests).toHaveLength(3);
  });

  it('asks a token younger than its list to come back when it may fetch again', async () => {
    await using jwks = await JwksServer.start();
    jwks.publish({ k1: rsa.publicKey });
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    await auth.authenticate(handshakeWith(tokenOf(rsa.privateKey, 'k1')), context);
    await refusal(auth.authenticate(handshakeWith(tokenOf(otherRsa.privateKey, 'k9')), context));
    clock.advance(20_000);
    jwks.publish({ k2: otherRsa.publicKey });
    const young = handshakeWith(tokenOf(otherRsa.privateKey, 'k2'));
    const error = await refusal(auth.authenticate(young, context));
    expect(error.toWire()).toMatchObject({ code: 'UNAVAILABLE', retryable: true, retryAfterMs: 40_000 });
    clock.advance(40_000);
    await expect(auth.authenticate(young, context)).resolves.toBeDefined();
  });

  it('never fetches an address that a token names, nor trusts a key that it carries', async () => {
    await using jwks = await JwksServer.start();
    await using evil = await JwksServer.start();
    jwks.publish({ k1: rsa.publicKey });
    evil.publish({ k1: otherRsa.publicKey });
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    const jwk = otherRsa.publicKey.export({ format: 'jwk' });
    const header = { alg: 'RS256', kid: 'k1', jku: evil.uri, x5u: evil.uri, jwk } as jsonwebtoken.JwtHeader;
    const token = sign(claims(), otherRsa.privateKey, { header });
    expect((await refusal(auth.authenticate(handshakeWith(token), context))).code).toBe('UNAUTHORIZED');
    expect([evil.requests.length, jwks.requests.map(({ url }) => url)]).toEqual([0, ['/.well-known/jwks.json']]);
  });

  it('needs a kid unless the list has one key, and takes no secret or foreign key from it', async () => {
    await using jwks = await JwksServer.start();
    const secret = { kty: 'oct', kid: 'k3', alg: 'HS256', k: Buffer.from(SECRET).toString('base64url') };
    const encryption = { ...otherRsa.publicKey.export({ format: 'jwk' }), kid: 'k2', use: 'enc' };
    jwks.publishRaw([{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'k1' }, secret, encryption, { kty: 'RSA' }]);
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    await expect(auth.authenticate(handshakeWith(tokenOf(rsa.privateKey)), context)).resolves.toBeDefined();
    const bad = [tokenOf(otherRsa.privateKey, 'k2'), sign(claims(), SECRET, { keyid: 'k3' })];
    for (const token of bad)
      expect((await refusal(auth.authenticate(handshakeWith(token), context))).code).toBe('UNAUTHORIZED');
    jwks.publish({ k1: rsa.publicKey, k2: otherRsa.publicKey });
    clock.advance(600_000);
    expect((await refusal(auth.authenticate(handshakeWith(tokenOf(rsa.privateKey)), context))).code).toBe(
      'UNAUTHORIZED',
    );
  });

  it('takes no RSA key from the list that is short enough to be factored', async () => {
    await using jwks = await JwksServer.start();
    const short = generateKeyPairSync('rsa', { modulusLength: 1_024 });
    jwks.publish({ k1: rsa.publicKey, k2: short.publicKey });
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    const token = sign(claims(), short.privateKey, { keyid: 'k2', algorithm: 'RS256', allowInsecureKeySizes: true });
    expect((await refusal(auth.authenticate(handshakeWith(token), context))).code).toBe('UNAUTHORIZED');
    await expect(auth.authenticate(handshakeWith(tokenOf(rsa.privateKey, 'k1')), context)).resolves.toBeDefined();
  });

  it('answers within 5 s when the endpoint hangs, and recovers', async () => {
    await using jwks = await JwksServer.start();
    jwks.publish({ k1: rsa.publicKey });
    jwks.hang();
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    const handshake = handshakeWith(tokenOf(rsa.privateKey, 'k1'));
    const asked = jwks.nextRequest();
    const calls = Array.from({ length: 50 }, () => refusal(auth.authenticate(handshake, context)));
    await asked;
    await clock.advanceAsync(5_000);
    for (const error of await Promise.all(calls)) {
      expect(['TIMEOUT', 'UNAVAILABLE']).toContain(error.code);
      expect(error.retryable).toBe(true);
    }
    expect(jwks.requests).toHaveLength(1);
    jwks.heal();
    await clock.advanceAsync(5_000);
    await expect(auth.authenticate(handshake, context)).resolves.toBeDefined();
  });

  it.each([
    ['nobody listens', undefined],
    [
      'it answers 500',
      (response: { statusCode: number; end(): void }) => ((response.statusCode = 500), response.end()),
    ],
    ['it answers HTML', (response: { end(text: string): void }) => response.end('<html>')],
    ['its list is empty', (response: { end(text: string): void }) => response.end('{"keys":[]}')],
    ['its answer has 1 MB', (response: { end(text: string): void }) => response.end(`{"keys":"${'a'.repeat(1e6)}"}`)],
  ])('is retryable, and says nothing more, when %s', async (_name, answer) => {
    const jwks = await JwksServer.start();
    if (answer === undefined) await jwks[Symbol.asyncDispose]();
    else jwks.answerWith(answer);
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    const error = await refusal(auth.authenticate(handshakeWith(tokenOf(rsa.privateKey, 'k1')), context));
    expect(error.toWire()).toEqual({
      code: 'UNAVAILABLE',
      message: 'Temporarily unavailable',
      retryable: true,
      retryAfterMs: 5_000,
    });
    if (answer !== undefined) await jwks[Symbol.asyncDispose]();
  });

  it('does not follow a redirect', async () => {
    await using evil = await JwksServer.start();
    await using jwks = await JwksServer.start();
    evil.publish({ k1: otherRsa.publicKey });
    jwks.answerWith((response) => response.writeHead(302, { location: evil.uri }).end());
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    await refusal(auth.authenticate(handshakeWith(tokenOf(otherRsa.privateKey, 'k1')), context));
    expect(evil.requests).toHaveLength(0);
  });

  it('goes on with the known keys for an hour while the endpoint is down, and no longer', async () => {
    await using jwks = await JwksServer.start();
    jwks.publish({ k1: rsa.publicKey });
    const auth = await build({ jwt: { jwksUri: jwks.uri } });
    const handshake = handshakeWith(tokenOf(rsa.privateKey, 'k1', { exp: nowSec() + 80_000 }));
    await auth.authenticate(handshake, context);
    jwks.answerWith((response) => response.writeHead(503).end());
    clock.advance(4_199_000);
    await expect(auth.authenticate(handshake, context)).resolves.toBeDefined();
    clock.advance(6_000);
    expect((await refusal(auth.authenticate(handshake, context))).code).toBe('UNAVAILABLE');
  });
});
