import { createSecretKey } from 'node:crypto';
import { resolveAuthOptions, type AuthJwtOptions } from './auth-options.js';
import { authWarnings } from './auth-warnings.js';

const warningsOf = (jwt: AuthJwtOptions): string[] => authWarnings(resolveAuthOptions({ jwt }));

describe('when the keys of tokens are weak', () => {
  it.each<[string, AuthJwtOptions, RegExp]>([
    ['a short secret', { secret: 's' }, /^auth\.jwt\.secret/],
    ['a short secret of bytes', { secret: Buffer.alloc(31, 1) }, /^auth\.jwt\.secret/],
    ['a short secret key', { secret: createSecretKey(Buffer.alloc(16, 1)) }, /^auth\.jwt\.secret/],
    ['keys over http', { jwksUri: 'http://issuer.example/jwks' }, /^auth\.jwt\.jwksUri/],
    ['keys over http of a name like ours', { jwksUri: 'http://localhost.example/jwks' }, /^auth\.jwt\.jwksUri/],
  ])('warns of %s', (_name, jwt, expected) => expect(warningsOf(jwt)).toEqual([expect.stringMatching(expected)]));

  it.each<[string, AuthJwtOptions]>([
    ['32 bytes', { secret: 'x'.repeat(32) }],
    ['fewer characters than bytes', { secret: 'ä'.repeat(16) }],
    ['https', { jwksUri: 'https://issuer.example/jwks' }],
    ['http on this machine', { jwksUri: 'http://127.0.0.1:8080/jwks' }],
    ['http on this machine, IPv6', { jwksUri: 'http://[::1]/jwks' }],
  ])('is content with %s', (_name, jwt) => expect(warningsOf(jwt)).toEqual([]));
});
