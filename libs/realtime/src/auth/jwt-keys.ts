import { createPublicKey, createSecretKey, KeyObject } from 'node:crypto';

/** What `jsonwebtoken` can verify. `none` is not in it, and EdDSA is not yet. */
export const JWT_ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
] as const;

export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** A PEM text, DER or raw bytes, or a key of `node:crypto`. */
export type KeyInput = string | Buffer | KeyObject;

/** One key and what it may verify: an algorithm outside `algorithms` is refused before any cryptography. */
export interface VerificationKey {
  readonly key: KeyObject;
  readonly algorithms: readonly JwtAlgorithm[];
}

/** Where the keys come from. `kid` only ever selects from what is held: it is never a path, a query or an address. */
export interface KeySource {
  /** Brings the keys up to date if they are older than they may be. Never rejects. True: they were read just now. */
  refresh(): Promise<boolean>;
  /** Whether tokens of this key still count: verifications are cached no longer than their key lives. */
  holds(key: VerificationKey): boolean;
  /** Call `refresh` first. Undefined: no such key. Rejects with `UNAVAILABLE` while nobody can say. */
  find(wanted: WantedKey): Promise<VerificationKey | undefined>;
}

export interface WantedKey {
  readonly kid: string | undefined;
  /** Unix milliseconds, as the unverified token says. */
  readonly issuedAtMs: number | undefined;
  /** What the `refresh` before it said: then reading once more would show nothing new. */
  readonly isJustRead: boolean;
}

export function isJwtAlgorithm(value: unknown): value is JwtAlgorithm {
  return JWT_ALGORITHMS.some((algorithm) => algorithm === value);
}

export function secretKeyOf(secret: KeyInput): KeyObject {
  if (secret instanceof KeyObject) return secret;
  return createSecretKey(typeof secret === 'string' ? Buffer.from(secret) : secret);
}

export function publicKeyOf(input: KeyInput): KeyObject {
  return input instanceof KeyObject && input.type === 'public' ? input : createPublicKey(input);
}

const STARTING_WITH = (...prefixes: string[]): readonly JwtAlgorithm[] =>
  JWT_ALGORITHMS.filter((algorithm) => prefixes.some((prefix) => algorithm.startsWith(prefix)));

export const HMAC_ALGORITHMS = STARTING_WITH('HS');
export const PUBLIC_ALGORITHMS = STARTING_WITH('RS', 'PS', 'ES');

const CURVE_ALGORITHMS: Readonly<Record<string, JwtAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/** Shorter RSA keys can be factored (NIST SP 800-131A). */
export const LEAST_RSA_BITS = 2_048;

export function isWeak(key: KeyObject): boolean {
  return (key.asymmetricKeyDetails?.modulusLength ?? LEAST_RSA_BITS) < LEAST_RSA_BITS;
}

/** The algorithms that the type of a key implies (RFC 7518 §3.1); empty for a type that cannot be used. */
export function impliedAlgorithms(key: KeyObject): readonly JwtAlgorithm[] {
  if (key.type === 'secret') return HMAC_ALGORITHMS;
  if (key.asymmetricKeyType === 'rsa') return STARTING_WITH('RS', 'PS');
  if (key.asymmetricKeyType === 'rsa-pss') return STARTING_WITH('PS');
  if (key.asymmetricKeyType !== 'ec') return [];
  const algorithm = CURVE_ALGORITHMS[key.asymmetricKeyDetails?.namedCurve ?? ''];
  return algorithm === undefined ? [] : [algorithm];
}

/** Pins a key to the algorithms that both its type and the options allow. */
export function verificationKey(key: KeyObject, allowed: readonly JwtAlgorithm[] | undefined): VerificationKey {
  const implied = impliedAlgorithms(key);
  return { key, algorithms: allowed === undefined ? implied : implied.filter((one) => allowed.includes(one)) };
}

/** One key without a name (`kid` is ignored), or a fixed map of named ones. */
export class FixedKeys implements KeySource {
  constructor(
    private readonly only: VerificationKey | undefined,
    private readonly named: ReadonlyMap<string, VerificationKey> = new Map(),
  ) {}

  refresh(): Promise<boolean> {
    return Promise.resolve(false);
  }

  holds(): boolean {
    return true;
  }

  find({ kid }: WantedKey): Promise<VerificationKey | undefined> {
    return Promise.resolve(this.only ?? (kid === undefined ? undefined : this.named.get(kid)));
  }
}
