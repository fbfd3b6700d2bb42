import type { Clock } from '../core/clock.js';
import type { JwtVerifier, ResolvedAuthOptions, ResolvedJwtOptions } from './auth-options.js';
import { checkClaims, deepFreeze, readTokenHint, type ClaimRules } from './jwt-claims.js';
import { JwksKeys } from './jwks-keys.js';
import {
  FixedKeys,
  publicKeyOf,
  secretKeyOf,
  verificationKey,
  type KeySource,
  type VerificationKey,
} from './jwt-keys.js';
import { unauthorized } from './refusal.js';
import { VerificationCache, type Claims } from './verification-cache.js';

/** From a token to its claims, frozen; rejects for every token that does not prove them. */
export interface TokenVerifier {
  verify(token: string): Promise<Claims>;
}

/** Loads `@nestjs/jwt` only for keys of our own: an app with its own `JwtService` brings it. */
export async function createTokenVerifier(options: ResolvedAuthOptions, clock: Clock): Promise<TokenVerifier> {
  const { jwt } = options;
  if (jwt === undefined) throw new TypeError('auth.jwt is not configured');
  const rules: ClaimRules = {
    maxTokenLifeMs: options.maxTokenLifeMs,
    clockToleranceSec: jwt.clockToleranceSec,
    refusesForeignAudience: jwt.audience === undefined && jwt.service === undefined,
  };
  if (jwt.service !== undefined) return new ServiceTokenVerifier(jwt, jwt.service, rules, clock);
  const { JwtService } = await import('@nestjs/jwt');
  return new KeyTokenVerifier({
    jwt,
    rules,
    clock,
    keys: keySourceOf(jwt, clock),
    cache: new VerificationCache(options.verificationCacheSize),
    // One service for each key: a call cannot hand over a key object, and parsing PEM for each token is slow.
    serviceFor: (key) => new JwtService(key.type === 'secret' ? { secret: key } : { publicKey: key }),
  });
}

function keySourceOf(jwt: ResolvedJwtOptions, clock: Clock): KeySource {
  const { algorithms } = jwt;
  if (jwt.jwksUri !== undefined) {
    return new JwksKeys({ uri: jwt.jwksUri, algorithms, cacheMs: jwt.jwksCacheMs, staleMs: jwt.jwksStaleMs }, clock);
  }
  if (jwt.publicKeys !== undefined) {
    const named = Object.entries(jwt.publicKeys).map(
      ([kid, key]) => [kid, verificationKey(publicKeyOf(key), algorithms)] as const,
    );
    return new FixedKeys(undefined, new Map(named));
  }
  if (jwt.publicKey !== undefined) return new FixedKeys(verificationKey(publicKeyOf(jwt.publicKey), algorithms));
  if (jwt.secret !== undefined) return new FixedKeys(verificationKey(secretKeyOf(jwt.secret), algorithms));
  throw new TypeError('auth.jwt has no key');
}

interface KeyTokenVerifierDeps {
  jwt: ResolvedJwtOptions;
  rules: ClaimRules;
  clock: Clock;
  keys: KeySource;
  cache: VerificationCache;
  serviceFor(key: VerificationKey['key']): JwtVerifier;
}

/** Verifies with keys that we hold, so a good signature can be remembered for as long as its key lives. */
class KeyTokenVerifier implements TokenVerifier {
  private readonly services = new WeakMap<VerificationKey, JwtVerifier>();

  constructor(private readonly deps: KeyTokenVerifierDeps) {}

  async verify(token: string): Promise<Claims> {
    const { keys, cache, clock, rules } = this.deps;
    const isJustRead = await keys.refresh();
    const known = cache.get(token, clock.unixNow(), (key) => keys.holds(key));
    if (known !== undefined) return known;
    const hint = readTokenHint(token);
    const { algorithm, kid } = hint;
    const wanted = {
      kid,
      isJustRead,
      get issuedAtMs() {
        return hint.issuedAtMs;
      },
    };
    const key = await keys.find(wanted);
    if (key === undefined || !key.algorithms.includes(algorithm)) throw unauthorized();
    const nowMs = clock.unixNow();
    const claims = await this.serviceOf(key).verifyAsync<object>(token, {
      ...verifyOptionsOf(this.deps.jwt, nowMs),
      algorithms: [...key.algorithms],
    });
    checkClaims(claims, rules, nowMs);
    deepFreeze(claims);
    const expiresAtMs = (Number(claims['exp']) + rules.clockToleranceSec) * 1_000;
    cache.set(token, { claims, key, expiresAtMs });
    return claims;
  }

  private serviceOf(key: VerificationKey): JwtVerifier {
    const known = this.services.get(key);
    if (known !== undefined) return known;
    const service = this.deps.serviceFor(key.key);
    this.services.set(key, service);
    return service;
  }
}

/** Verifies with the app's own service. Nothing is remembered, since we cannot see when its key changes. */
class ServiceTokenVerifier implements TokenVerifier {
  constructor(
    private readonly jwt: ResolvedJwtOptions,
    private readonly service: JwtVerifier,
    private readonly rules: ClaimRules,
    private readonly clock: Clock,
  ) {}

  async verify(token: string): Promise<Claims> {
    const { algorithm } = readTokenHint(token);
    const { algorithms } = this.jwt;
    if (algorithms !== undefined && !algorithms.includes(algorithm)) throw unauthorized();
    const nowMs = this.clock.unixNow();
    // Absent options stay absent, so that those of the service keep their effect.
    const claims = await this.service.verifyAsync<object>(token, {
      ...verifyOptionsOf(this.jwt, nowMs),
      ...(algorithms === undefined ? {} : { algorithms: [...algorithms] }),
    });
    checkClaims(claims, this.rules, nowMs);
    return deepFreeze(claims);
  }
}

function verifyOptionsOf(jwt: ResolvedJwtOptions, nowMs: number) {
  return {
    clockTolerance: jwt.clockToleranceSec,
    clockTimestamp: Math.floor(nowMs / 1_000),
    ...(jwt.issuer === undefined ? {} : { issuer: jwt.issuer }),
    ...(jwt.audience === undefined ? {} : { audience: jwt.audience }),
  };
}
