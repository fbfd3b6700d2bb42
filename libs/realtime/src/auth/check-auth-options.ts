import { KeyObject } from 'node:crypto';
import type { AuthJwtOptions, AuthOptions } from './auth-options.js';
import {
  HMAC_ALGORITHMS,
  impliedAlgorithms,
  isJwtAlgorithm,
  isWeak,
  JWT_ALGORITHMS,
  LEAST_RSA_BITS,
  PUBLIC_ALGORITHMS,
  publicKeyOf,
  type JwtAlgorithm,
  type KeyInput,
} from './jwt-keys.js';

const KEY_OPTIONS = ['secret', 'publicKey', 'publicKeys', 'jwksUri', 'service'] as const;
const KEY_CHOICE = 'auth.jwt.secret, auth.jwt.publicKey, auth.jwt.publicKeys, auth.jwt.jwksUri or auth.jwt.service';

/** Every problem, each naming its option and the way out; empty: fine. */
export function checkAuthOptions(options: AuthOptions | undefined): string[] {
  if (options === undefined) return ['auth: missing; set auth.jwt or auth.verify'];
  const problems: string[] = [];
  if (options.jwt !== undefined && options.verify !== undefined)
    problems.push('auth.jwt and auth.verify: verify replaces JWT altogether; set only one of them');
  if (options.jwt === undefined && options.verify === undefined)
    problems.push('auth: nothing checks who connects; set auth.jwt or auth.verify');
  if (options.verify !== undefined && options.principal !== undefined)
    problems.push('auth.principal: maps claims of a JWT; with auth.verify, return the principal from verify');
  if (options.cookie !== undefined && !/^[\w!#$%&'*+.^`|~-]+$/.test(options.cookie))
    problems.push(`auth.cookie: '${options.cookie}' is not a cookie name`);
  if (options.jwt !== undefined) problems.push(...checkJwt(options.jwt));
  return [...problems, ...checkFunctions(options), ...checkNamespaces(options), ...checkNumbers(options)];
}

function checkJwt(jwt: AuthJwtOptions): string[] {
  const given = KEY_OPTIONS.filter((name) => jwt[name] !== undefined);
  const problems: string[] = [];
  if (given.length === 0) problems.push(`auth.jwt: no key; set one of ${KEY_CHOICE} (an unset environment variable?)`);
  if (given.length > 1)
    problems.push(`auth.jwt: ${given.join(' and ')} are set; keep one, so that it is clear which key counts`);
  const { implied, problem } = keyAlgorithms(jwt);
  if (problem !== undefined) problems.push(problem);
  return [
    ...problems,
    ...checkAlgorithms(jwt.algorithms, problem === undefined ? implied : undefined),
    ...checkLists(jwt),
  ];
}

interface KeyAlgorithms {
  /** Undefined: any, the key is not known here. */
  implied?: readonly JwtAlgorithm[];
  problem?: string;
}

function keyAlgorithms(jwt: AuthJwtOptions): KeyAlgorithms {
  if (jwt.jwksUri !== undefined) return isHttpUrl(jwt.jwksUri) ? { implied: PUBLIC_ALGORITHMS } : { problem: BAD_URI };
  if (jwt.publicKeys !== undefined) return publicKeysAlgorithms(jwt.publicKeys);
  if (jwt.publicKey !== undefined) return publicKeyAlgorithms('auth.jwt.publicKey', jwt.publicKey);
  if (jwt.secret !== undefined) return secretAlgorithms(jwt.secret);
  const isService = jwt.service === undefined || typeof jwt.service.verifyAsync === 'function';
  return isService ? {} : { problem: 'auth.jwt.service: has no verifyAsync; pass the JwtService of @nestjs/jwt' };
}

const BAD_URI = 'auth.jwt.jwksUri: not an http or https address';

function secretAlgorithms(secret: KeyInput): KeyAlgorithms {
  const isPem =
    typeof secret !== 'string' && !Buffer.isBuffer(secret) ? secret.type !== 'secret' : looksLikePem(secret);
  if (isPem) return { problem: 'auth.jwt.secret: this is a key pair’s key; pass the public one as auth.jwt.publicKey' };
  const length = secret instanceof KeyObject ? (secret.symmetricKeySize ?? 0) : secret.length;
  return length === 0
    ? { problem: 'auth.jwt.secret: empty; set a random text of at least 32 bytes' }
    : { implied: HMAC_ALGORITHMS };
}

function publicKeysAlgorithms(keys: Readonly<Record<string, KeyInput>>): KeyAlgorithms {
  const entries = Object.entries(keys);
  if (entries.length === 0) return { problem: 'auth.jwt.publicKeys: empty; name at least one key by its kid' };
  const each = entries.map(([kid, key]) => publicKeyAlgorithms(`auth.jwt.publicKeys['${kid}']`, key));
  const problem = each.find((one) => one.problem !== undefined)?.problem;
  return problem === undefined ? { implied: each.flatMap((one) => one.implied ?? []) } : { problem };
}

function publicKeyAlgorithms(name: string, input: KeyInput): KeyAlgorithms {
  const isPrivate = input instanceof KeyObject ? input.type === 'private' : input.includes('PRIVATE KEY');
  if (isPrivate)
    return { problem: `${name}: a private key; servers that only verify must not hold it, pass the public one` };
  try {
    const key = publicKeyOf(input);
    if (isWeak(key)) return { problem: `${name}: an RSA key of less than ${LEAST_RSA_BITS} bits; make a longer one` };
    const implied = impliedAlgorithms(key);
    if (implied.length > 0) return { implied };
  } catch {
    // The parser's own words name OpenSSL routines: the answer below says more.
  }
  return {
    problem: `${name}: not a PEM of an RSA or EC (P-256, P-384, P-521) public key; a shared secret is auth.jwt.secret`,
  };
}

function checkAlgorithms(algorithms: unknown, implied: readonly JwtAlgorithm[] | undefined): string[] {
  if (algorithms === undefined) return [];
  if (!Array.isArray(algorithms) || algorithms.length === 0)
    return ['auth.jwt.algorithms: not a list of algorithms; leave it out for those of the key’s type'];
  return (algorithms as unknown[]).flatMap((one) => {
    if (String(one).toLowerCase() === 'none')
      return ['auth.jwt.algorithms: none would accept unsigned tokens; remove it'];
    if (!isJwtAlgorithm(one))
      return [`auth.jwt.algorithms: '${String(one)}' is unknown; use some of ${JWT_ALGORITHMS.join(', ')}`];
    if (implied === undefined || implied.includes(one)) return [];
    return [`auth.jwt.algorithms: ${one} does not fit the key, which can verify ${implied.join(', ')}`];
  });
}

function checkLists(jwt: AuthJwtOptions): string[] {
  const isBad = (value: unknown): boolean => value === '' || (Array.isArray(value) && value.length === 0);
  const problems: string[] = [];
  if (isBad(jwt.issuer)) problems.push('auth.jwt.issuer: empty; name an issuer, or leave it out to accept any');
  if (isBad(jwt.audience)) problems.push('auth.jwt.audience: empty; name this app’s audience, or leave it out');
  return problems;
}

function checkFunctions(options: AuthOptions): string[] {
  return (['verify', 'principal'] as const)
    .filter((name) => options[name] !== undefined && typeof options[name] !== 'function')
    .map((name) => `auth.${name}: not a function`);
}

function checkNamespaces(options: AuthOptions): string[] {
  return Object.entries(options.namespaces ?? {}).flatMap(([name, check]) => {
    const problems: string[] = [];
    if (!name.startsWith('/')) problems.push(`auth.namespaces['${name}']: namespaces start with a slash: '/${name}'`);
    if (check !== false && typeof (check as { verify?: unknown } | undefined)?.verify !== 'function')
      problems.push(`auth.namespaces['${name}']: set { verify } or false`);
    return problems;
  });
}

function checkNumbers(options: AuthOptions): string[] {
  const least = (name: string, value: number | undefined, min: number): string[] =>
    value === undefined || (Number.isFinite(value) && value >= min)
      ? []
      : [`auth.${name}: ${value} is not a number of at least ${min}`];
  return [
    ...least('refreshLeadMs', options.refreshLeadMs, 0),
    ...least('expiryGraceMs', options.expiryGraceMs, 0),
    ...least('timeoutMs', options.timeoutMs, 1),
    ...least('maxTokenLifeMs', options.maxTokenLifeMs, 1),
    ...least('verificationCacheSize', options.verificationCacheSize, 0),
    ...least('jwt.clockToleranceSec', options.jwt?.clockToleranceSec, 0),
    ...least('jwt.jwksCacheMs', options.jwt?.jwksCacheMs, 0),
    ...least('jwt.jwksStaleMs', options.jwt?.jwksStaleMs, 0),
  ];
}

function isHttpUrl(uri: string): boolean {
  return URL.canParse(uri) && /^https?:$/.test(new URL(uri).protocol);
}

function looksLikePem(secret: string | Buffer): boolean {
  return secret.includes('-----BEGIN ');
}
