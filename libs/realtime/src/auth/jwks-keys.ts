import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { Clock } from '../core/clock.js';
import { RealtimeError } from '../core/realtime-error.js';
import {
  isJwtAlgorithm,
  verificationKey,
  type JwtAlgorithm,
  type KeySource,
  type VerificationKey,
  type WantedKey,
  isWeak,
  LEAST_RSA_BITS,
} from './jwt-keys.js';
import { fetchJson } from './fetch-json.js';

export interface JwksOptions {
  readonly uri: string;
  readonly algorithms: readonly JwtAlgorithm[] | undefined;
  /** How long fetched keys are used before they are fetched again. */
  readonly cacheMs: number;
  /** How much longer they may be used while the endpoint does not answer. */
  readonly staleMs: number;
}

const FETCH_DEADLINE_MS = 5_000;
/** Anybody can invent a `kid`: such tokens make us fetch once in this time, however many come. */
const UNKNOWN_KID_INTERVAL_MS = 60_000;
/** After a failed fetch the endpoint is left alone for so long. */
const RETRY_INTERVAL_MS = 5_000;
/** With usable keys at hand, a slow endpoint delays a handshake by no more than this. */
const STALE_PATIENCE_MS = 1_000;
/** A token issued this long after the last fetch may be signed by a key that we have not seen. */
const ISSUER_SKEW_MS = 5_000;

/**
 * The signing keys of a JWKS endpoint. A key counts as long as the endpoint lists it (both keys of a rotation), and goes
 * when a fetch no longer shows it. One fetch at a time; while the endpoint is down, the last keys serve for `staleMs`.
 */
export class JwksKeys implements KeySource {
  /** By JWK text: a key that a fetch shows again stays the same object, so that cached verifications live on. */
  private keys: HeldKeys = new Map();
  private fetchedAt: { now: number; unix: number } | undefined;
  private fetching: Promise<void> | undefined;
  private fetches = 0;
  private retryAt = -Infinity;
  private unknownKidAt = -Infinity;
  private failure: unknown;
  private hasWarnedOfWeak = false;
  private readonly logger = new Logger('RealtimeAuth');

  constructor(
    private readonly options: JwksOptions,
    private readonly clock: Clock,
  ) {}

  async refresh(): Promise<boolean> {
    const ageMs = this.fetchedAt === undefined ? Infinity : this.clock.now() - this.fetchedAt.now;
    if (ageMs < this.options.cacheMs) return false;
    if (ageMs >= this.options.cacheMs + this.options.staleMs) this.forget();
    if (this.fetching === undefined && this.clock.now() < this.retryAt) return false;
    const fetchesBefore = this.fetches;
    const fetched = this.fetch();
    await (this.keys.size === 0 ? fetched : this.patiently(fetched));
    return this.fetches !== fetchesBefore;
  }

  holds(key: VerificationKey): boolean {
    for (const held of this.keys.values()) if (held.key === key) return true;
    return false;
  }

  async find({ kid, issuedAtMs, isJustRead }: WantedKey): Promise<VerificationKey | undefined> {
    if (this.fetchedAt === undefined) throw this.unavailable(this.retryAt);
    const held = this.lookUp(kid);
    if (held !== undefined || kid === undefined || isJustRead) return held;
    const fetchesBefore = this.fetches;
    await this.fetchForUnknown();
    const found = this.lookUp(kid);
    if (found !== undefined || this.fetches !== fetchesBefore) return found;
    // Nobody may ask now. A token older than our list is bad; a younger one may be the first of a new key.
    const isYounger = (issuedAtMs ?? 0) > this.fetchedAt.unix + ISSUER_SKEW_MS;
    if (isYounger) throw this.unavailable(this.unknownKidAt);
    return undefined;
  }

  private async fetchForUnknown(): Promise<void> {
    if (this.fetching === undefined && this.clock.now() < this.unknownKidAt) return;
    if (this.fetching === undefined) this.unknownKidAt = this.clock.now() + UNKNOWN_KID_INTERVAL_MS;
    await this.fetch();
  }

  private lookUp(kid: string | undefined): VerificationKey | undefined {
    const held = [...this.keys.values()];
    // Without a `kid` only a list of one leaves no doubt which key is meant.
    if (kid === undefined) return held.length === 1 ? held[0]?.key : undefined;
    return held.find((one) => one.kid === kid)?.key;
  }

  private fetch(): Promise<void> {
    this.fetching ??= this.load().finally(() => (this.fetching = undefined));
    return this.fetching;
  }

  /** Once: the same keys are read again and again. */
  private readonly onWeak = (): void => {
    if (!this.hasWarnedOfWeak)
      this.logger.warn(`auth.jwt.jwksUri: RSA keys of less than ${LEAST_RSA_BITS} bits are left out; make longer ones`);
    this.hasWarnedOfWeak = true;
  };

  private async load(): Promise<void> {
    try {
      const keys = importKeys(
        await fetchJson(this.options.uri, FETCH_DEADLINE_MS, this.clock),
        this.options.algorithms,
        this.onWeak,
      );
      if (keys.size === 0) throw new Error('the JWKS holds no usable signing key');
      for (const [text, old] of this.keys) if (keys.has(text)) keys.set(text, old);
      this.keys = keys;
      this.fetchedAt = { now: this.clock.now(), unix: this.clock.unixNow() };
      this.fetches += 1;
      if (this.failure !== undefined) this.logger.log('auth.jwt.jwksUri answers again');
      this.failure = undefined;
    } catch (error) {
      // `find` tells whoever needs a key now; the last good keys stay in use. Logged once for each outage.
      if (this.failure === undefined) this.logger.warn(`auth.jwt.jwksUri gives no keys: ${reasonOf(error)}`);
      this.failure = error;
      this.retryAt = this.clock.now() + RETRY_INTERVAL_MS;
    }
  }

  private async patiently(fetched: Promise<void>): Promise<void> {
    let cancel = (): void => undefined;
    const patience = new Promise<void>((resolve) => (cancel = this.clock.after(STALE_PATIENCE_MS, resolve)));
    await Promise.race([fetched, patience]);
    cancel();
  }

  private forget(): void {
    this.keys = new Map();
    this.fetchedAt = undefined;
  }

  private unavailable(retryAt: number): RealtimeError {
    const retryAfterMs = Math.max(0, retryAt - this.clock.now());
    return new RealtimeError('UNAVAILABLE', undefined, { retryAfterMs, cause: this.failure });
  }
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: unknown; cause?: { code?: unknown } };
  return [message, cause?.code].filter((part) => typeof part === 'string').join(', ');
}

type HeldKeys = Map<string, { kid: string | undefined; key: VerificationKey }>;

/** Public signing keys only (RFC 7517 §4): no `oct`, none for encryption. What cannot be read is left out. */
function importKeys(jwks: unknown, allowed: readonly JwtAlgorithm[] | undefined, onWeak: () => void): HeldKeys {
  const { keys } = (jwks ?? {}) as { keys?: unknown };
  const held: HeldKeys = new Map();
  for (const jwk of Array.isArray(keys) ? (keys as unknown[]) : []) {
    const key = importKey(jwk, allowed);
    if (key === 'weak') onWeak();
    else if (key !== undefined) held.set(JSON.stringify(jwk), key);
  }
  return held;
}

function importKey(jwk: unknown, allowed: readonly JwtAlgorithm[] | undefined) {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kty, use, alg, kid, key_ops: operations } = jwk as Record<string, unknown>;
  if (kty !== 'RSA' && kty !== 'EC') return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (Array.isArray(operations) && !operations.includes('verify')) return undefined;
  if (alg !== undefined && !isJwtAlgorithm(alg)) return undefined;
  try {
    const publicKey = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    if (isWeak(publicKey)) return 'weak';
    const key = verificationKey(publicKey, allowed);
    const algorithms = alg === undefined ? key.algorithms : key.algorithms.filter((one) => one === alg);
    return { kid: typeof kid === 'string' ? kid : undefined, key: { ...key, algorithms } };
  } catch {
    return undefined;
  }
}
