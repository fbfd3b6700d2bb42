import { RealtimeError } from '../core/realtime-error.js';
import { isJwtAlgorithm, type JwtAlgorithm } from './jwt-keys.js';
import { unauthorized } from './refusal.js';
import type { Claims } from './verification-cache.js';

/** What is read of a token before its signature is known to be good: nothing but how to check it. */
export interface TokenHint {
  readonly algorithm: JwtAlgorithm;
  readonly kid: string | undefined;
  /** Unverified: only for judging whether our list of keys may be too old. */
  readonly issuedAtMs: number | undefined;
}

const MAX_KID_LENGTH = 256;
/** Three non-empty base64url parts: a token without a signature (`alg: none`) does not pass. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Refuses what cannot be a signed JWT: no signature, `none` or an unknown algorithm, `crit` (RFC 7515 §4.1.11: we
 * understand none), a `kid` that is not a short text. `jku`, `x5u`, `jwk` and `x5c` are not looked at.
 */
export function readTokenHint(token: string): TokenHint {
  if (!COMPACT_JWS.test(token)) throw unauthorized();
  const [head, body] = token.split('.');
  const { alg, kid, crit } = readPart(head);
  if (!isJwtAlgorithm(alg) || crit !== undefined) throw unauthorized();
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KID_LENGTH)) throw unauthorized();
  return new Hint(alg, kid, body);
}

class Hint implements TokenHint {
  constructor(
    readonly algorithm: JwtAlgorithm,
    readonly kid: string | undefined,
    private readonly body: string | undefined,
  ) {}

  /** Only a list of keys that may be too old asks for it: the claims are parsed when the signature is known to be good. */
  get issuedAtMs(): number | undefined {
    const { iat } = readPart(this.body);
    return typeof iat === 'number' ? iat * 1_000 : undefined;
  }
}

export interface ClaimRules {
  readonly maxTokenLifeMs: number;
  readonly clockToleranceSec: number;
  /** False if the app's own service may check the audience where we do not see it. */
  readonly refusesForeignAudience: boolean;
}

/**
 * Refuses a verified token that says nothing about its end, lives longer than revocations are kept, or is meant for an
 * audience while none is configured (RFC 7519 §4.1.3 asks for that).
 */
export function checkClaims(claims: unknown, rules: ClaimRules, nowMs: number): asserts claims is Claims {
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) throw unauthorized();
  const { exp, iat, aud } = claims as Record<string, unknown>;
  if (typeof exp !== 'number' || !Number.isFinite(exp)) throw refused('the token has no exp');
  if (iat !== undefined && (typeof iat !== 'number' || !Number.isFinite(iat))) throw refused('iat is not a number');
  const toleranceMs = rules.clockToleranceSec * 1_000;
  if (nowMs >= exp * 1_000 + toleranceMs) throw new RealtimeError('TOKEN_EXPIRED');
  const startMs = Math.min(nowMs, iat === undefined ? nowMs : iat * 1_000);
  if (exp * 1_000 - startMs > rules.maxTokenLifeMs + toleranceMs)
    throw refused('the token lives longer than auth.maxTokenLifeMs');
  if (rules.refusesForeignAudience && aud !== undefined)
    throw refused('the token names an audience, and auth.jwt.audience is not set');
}

/** Freezes plain data in depth, in place. A loop, since nesting is only bounded by the token's size. */
export function deepFreeze<T extends object>(root: T): Readonly<T> {
  const waiting: object[] = [root];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    Object.freeze(value);
    for (const child of Object.values(value) as unknown[])
      if (typeof child === 'object' && child !== null && !Object.isFrozen(child)) waiting.push(child);
  }
  return root;
}

function refused(reason: string): RealtimeError {
  return unauthorized(new Error(reason));
}

function readPart(part: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Not JSON: answered below like any other text that is no token.
  }
  throw unauthorized();
}
