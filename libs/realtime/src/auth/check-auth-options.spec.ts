import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { JwtService } from '@nestjs/jwt';
import { resolveAuthOptions, type AuthOptions } from './auth-options.js';
import { checkAuthOptions } from './check-auth-options.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const ed25519 = generateKeyPairSync('ed25519');
const short = generateKeyPairSync('rsa', { modulusLength: 1_024 });
const SHORT_PEM = short.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const RSA_PEM = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const PRIVATE_PEM = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const jwt = (options: object): AuthOptions => ({ jwt: options });
const verify = () => ({ id: 'a' });

describe('when options are fine', () => {
  it.each<[string, AuthOptions]>([
    ['a secret', jwt({ secret: 's', algorithms: ['HS256'] })],
    ['a secret as a key', jwt({ secret: createSecretKey(Buffer.from('s')) })],
    ['a public key', jwt({ publicKey: RSA_PEM, algorithms: ['RS256', 'PS512'] })],
    ['named public keys', jwt({ publicKeys: { a: RSA_PEM, b: rsa.publicKey } })],
    ['a JWKS', jwt({ jwksUri: 'https://id.example.com/jwks', audience: 'chat' })],
    ['a service', jwt({ service: new JwtService({}) })],
    ['a check of the app', { verify, namespaces: { '/a': false, '/b': { verify } } }],
    ['options that are undefined', { verify, jwt: undefined, cookie: undefined, timeoutMs: undefined }],
  ])('finds nothing wrong with %s', (_name, options) => {
    expect(checkAuthOptions(options)).toEqual([]);
  });

  it('fills in the documented defaults', () => {
    expect(resolveAuthOptions(jwt({ secret: 's' }))).toMatchObject({
      refreshLeadMs: 30_000,
      expiryGraceMs: 25_000,
      timeoutMs: 5_000,
      maxTokenLifeMs: 86_400_000,
      allowQueryToken: false,
      jwt: { clockToleranceSec: 5 },
    });
  });
});

describe('when options are wrong', () => {
  it.each<[string, unknown, RegExp]>([
    ['nothing at all', undefined, /^auth: missing/],
    ['no check', {}, /^auth: nothing checks/],
    ['two checks', { verify, ...jwt({ secret: 's' }) }, /^auth\.jwt and auth\.verify/],
    ['a missing key', jwt({ secret: undefined }), /auth\.jwt\.secret.*environment variable/],
    ['two keys', jwt({ secret: 's', publicKey: RSA_PEM }), /secret and publicKey are set/],
    ['a short RSA key', jwt({ publicKey: SHORT_PEM }), /^auth\.jwt\.publicKey: .*2048 bits/],
    ['an empty secret', jwt({ secret: '' }), /^auth\.jwt\.secret: empty/],
    ['a PEM as the secret', jwt({ secret: RSA_PEM }), /^auth\.jwt\.secret: .*publicKey/],
    ['a secret as the public key', jwt({ publicKey: 'secret' }), /^auth\.jwt\.publicKey: not a PEM/],
    ['a private key', jwt({ publicKey: PRIVATE_PEM }), /^auth\.jwt\.publicKey: a private key/],
    ['an Ed25519 key', jwt({ publicKey: ed25519.publicKey }), /^auth\.jwt\.publicKey/],
    ['a bad named key', jwt({ publicKeys: { a: 'x' } }), /^auth\.jwt\.publicKeys\['a'\]/],
    ['no named key', jwt({ publicKeys: {} }), /^auth\.jwt\.publicKeys: empty/],
    ['a JWKS that is a file', jwt({ jwksUri: 'file:///etc/jwks' }), /^auth\.jwt\.jwksUri/],
    ['a service that is none', jwt({ service: {} }), /^auth\.jwt\.service/],
    ['HMAC with a public key', jwt({ publicKey: RSA_PEM, algorithms: ['HS256'] }), /^auth\.jwt\.algorithms: HS256/],
    ['HMAC with a JWKS', jwt({ jwksUri: 'https://a.b/c', algorithms: ['HS256'] }), /^auth\.jwt\.algorithms: HS256/],
    ['RSA with a secret', jwt({ secret: 's', algorithms: ['RS256'] }), /^auth\.jwt\.algorithms: RS256/],
    ['none', jwt({ secret: 's', algorithms: ['none'] }), /^auth\.jwt\.algorithms: none/],
    ['None', jwt({ secret: 's', algorithms: ['None'] }), /^auth\.jwt\.algorithms: none/],
    ['an unknown algorithm', jwt({ secret: 's', algorithms: ['HS1'] }), /'HS1' is unknown/],
    ['no algorithms', jwt({ secret: 's', algorithms: [] }), /^auth\.jwt\.algorithms: not a list/],
    ['an empty audience', jwt({ secret: 's', audience: [] }), /^auth\.jwt\.audience/],
    ['an empty issuer', jwt({ secret: 's', issuer: '' }), /^auth\.jwt\.issuer/],
    ['a mapping beside verify', { verify, principal: verify }, /^auth\.principal/],
    ['a verify that is none', { verify: 'x' }, /^auth\.verify: not a function/],
    ['a bad cookie name', { verify, cookie: 'a b' }, /^auth\.cookie/],
    ['a namespace without its slash', { verify, namespaces: { legacy: false } }, /'\/legacy'/],
    ['a namespace without a check', { verify, namespaces: { '/a': true } }, /^auth\.namespaces\['\/a'\]/],
    ['a deadline of 0', { verify, timeoutMs: 0 }, /^auth\.timeoutMs/],
    ['a grace below 0', { verify, expiryGraceMs: -1 }, /^auth\.expiryGraceMs/],
    ['a life that is not a number', { verify, maxTokenLifeMs: Number.NaN }, /^auth\.maxTokenLifeMs/],
  ])('names %s', (_name, options, expected) => {
    const problems = checkAuthOptions(options as AuthOptions);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
  });

  it('names all problems at once', () => {
    expect(checkAuthOptions({ ...jwt({ algorithms: [] }), cookie: '', timeoutMs: -1 })).toHaveLength(4);
  });
});
