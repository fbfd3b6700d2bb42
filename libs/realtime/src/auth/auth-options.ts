import type { RealtimeHandshake } from './handshake.js';
import type { JwtAlgorithm, KeyInput } from './jwt-keys.js';
import type { PrincipalInput } from './principal-mapping.js';
import type { Claims } from './verification-cache.js';

/** The part of `@nestjs/jwt`'s `JwtService` that is used. */
export interface JwtVerifier {
  verifyAsync<T extends object>(token: string, options?: JwtVerifierOptions): Promise<T>;
}

export interface JwtVerifierOptions {
  algorithms?: JwtAlgorithm[];
  issuer?: string | [string, ...string[]];
  audience?: string | RegExp | [string | RegExp, ...(string | RegExp)[]];
  clockTolerance?: number;
  clockTimestamp?: number;
}

/** Exactly one of `secret`, `publicKey`, `publicKeys`, `jwksUri` and `service`. */
export interface AuthJwtOptions {
  /** Shared secret, for HS256, HS384 and HS512. */
  secret?: KeyInput | undefined;
  /** PEM of an RSA or EC public key. A token's `kid` is ignored. */
  publicKey?: KeyInput | undefined;
  /** Public keys by `kid`: tokens name theirs. For rotation without an endpoint. */
  publicKeys?: Readonly<Record<string, KeyInput>> | undefined;
  /**
   * Address of a JWKS (RFC 7517). Fetched at the first token, again after `jwksCacheMs`, and for an unknown `kid` at
   * most once a minute. While it is down, known keys serve for `jwksStaleMs` longer.
   */
  jwksUri?: string | undefined;
  /** The app's own `JwtService`, with its keys and `verifyOptions`. Its verifications are not cached. */
  service?: JwtVerifier | undefined;
  /** Narrows what the key's type implies. `none` is never accepted. */
  algorithms?: readonly JwtAlgorithm[] | undefined;
  /** Accepted `iss`. Default: any. */
  issuer?: string | readonly string[] | undefined;
  /** Accepted `aud`; one match is enough. Default: tokens that name an audience are refused (RFC 7519 §4.1.3). */
  audience?: string | RegExp | readonly (string | RegExp)[] | undefined;
  /** Seconds by which clocks may differ. @default 5 */
  clockToleranceSec?: number | undefined;
  /** Milliseconds before the JWKS is fetched again: how long a withdrawn key still counts. @default 600 000 */
  jwksCacheMs?: number | undefined;
  /** Milliseconds for which keys serve beyond `jwksCacheMs` while the endpoint is down; 0: not at all. @default 3 600 000 */
  jwksStaleMs?: number | undefined;
}

/** What `auth.verify` answers. */
export interface VerifiedPrincipal extends PrincipalInput {
  /** Unix milliseconds at which the credentials end. Default: never by themselves. */
  expiresAt?: number | undefined;
  /** Unix milliseconds at which the user signed in. Without it, every `revoke({ userId })` keeps hitting the user. */
  issuedAt?: number | undefined;
  /** What `revoke({ tokenId })` names. */
  tokenId?: string | undefined;
}

/**
 * The app's own check. Nothing (or false) as the answer: the handshake names nobody. A throw refuses: a `RealtimeError`
 * as it is, an `HttpException` by its status, everything else as `UNAUTHORIZED`.
 */
export type Verify = (
  handshake: RealtimeHandshake,
) => VerifiedPrincipal | null | undefined | false | Promise<VerifiedPrincipal | null | undefined | false>;

/** From a good token's claims (frozen) to a principal. Asked each time, never cached. Nothing as the answer refuses. */
export type MapPrincipal = (
  claims: Claims,
  handshake: RealtimeHandshake,
) => PrincipalInput | null | undefined | Promise<PrincipalInput | null | undefined>;

/** Exactly one of `jwt` and `verify`. */
export interface AuthOptions {
  jwt?: AuthJwtOptions | undefined;
  /** Replaces JWT altogether. Its `handshake.auth.token` holds the new token on a refresh. */
  verify?: Verify | undefined;
  /** Default: `id` from `sub`, `sessionId` from `sid` or `jti`, `roles` from `roles`, `scopes` from `scope` or `scp`. */
  principal?: MapPrincipal | undefined;
  /** Name of a cookie that may carry the token. Cookies need the origin check (`origins`). Default: none. */
  cookie?: string | undefined;
  /** Accepts `?token=`. Addresses end up in logs of proxies: only for clients that can do nothing else. @default false */
  allowQueryToken?: boolean | undefined;
  /** By namespace (`'/legacy'`): its own check, or `false` to leave it to the app, unauthenticated by us. */
  namespaces?: Readonly<Record<string, { verify: Verify } | false>> | undefined;
  /** Milliseconds before the token's end at which the client is asked for a new one; 0: at its end. @default 30 000 */
  refreshLeadMs?: number | undefined;
  /** Milliseconds after the token's end until the connection is closed; 0: at once. @default 25 000 (Centrifugo's) */
  expiryGraceMs?: number | undefined;
  /** Milliseconds for one authentication, the app's own code included. @default 5 000 */
  timeoutMs?: number | undefined;
  /** Milliseconds; longer-lived tokens are refused, since revocations are kept for so long. @default 86 400 000 (24 h) */
  maxTokenLifeMs?: number | undefined;
  /** Good signatures remembered, by token hash; 0: none. About 1 KB each. @default 10 000 */
  verificationCacheSize?: number | undefined;
}

export interface ResolvedJwtOptions {
  readonly secret: KeyInput | undefined;
  readonly publicKey: KeyInput | undefined;
  readonly publicKeys: Readonly<Record<string, KeyInput>> | undefined;
  readonly jwksUri: string | undefined;
  readonly service: JwtVerifier | undefined;
  readonly algorithms: readonly JwtAlgorithm[] | undefined;
  readonly issuer: string | [string, ...string[]] | undefined;
  readonly audience: string | RegExp | [string | RegExp, ...(string | RegExp)[]] | undefined;
  readonly clockToleranceSec: number;
  readonly jwksCacheMs: number;
  readonly jwksStaleMs: number;
}

export interface ResolvedAuthOptions {
  readonly jwt: ResolvedJwtOptions | undefined;
  readonly verify: Verify | undefined;
  readonly principal: MapPrincipal | undefined;
  readonly cookie: string | undefined;
  readonly allowQueryToken: boolean;
  readonly namespaces: Readonly<Record<string, { verify: Verify } | false>>;
  readonly refreshLeadMs: number;
  readonly expiryGraceMs: number;
  readonly timeoutMs: number;
  readonly maxTokenLifeMs: number;
  readonly verificationCacheSize: number;
}

/** Fills in the defaults; changes nothing it was given. Options with problems (`checkAuthOptions`) give nonsense. */
export function resolveAuthOptions(options: AuthOptions): ResolvedAuthOptions {
  return {
    jwt: options.jwt === undefined ? undefined : resolveJwtOptions(options.jwt),
    verify: options.verify,
    principal: options.principal,
    cookie: options.cookie,
    allowQueryToken: options.allowQueryToken ?? false,
    namespaces: { ...options.namespaces },
    refreshLeadMs: options.refreshLeadMs ?? 30_000,
    expiryGraceMs: options.expiryGraceMs ?? 25_000,
    timeoutMs: options.timeoutMs ?? 5_000,
    maxTokenLifeMs: options.maxTokenLifeMs ?? 86_400_000,
    verificationCacheSize: options.verificationCacheSize ?? 10_000,
  };
}

function resolveJwtOptions(jwt: AuthJwtOptions): ResolvedJwtOptions {
  return {
    secret: jwt.secret,
    publicKey: jwt.publicKey,
    publicKeys: jwt.publicKeys,
    jwksUri: jwt.jwksUri,
    service: jwt.service,
    algorithms: jwt.algorithms,
    issuer: oneOrMore(jwt.issuer),
    audience: oneOrMore(jwt.audience),
    clockToleranceSec: jwt.clockToleranceSec ?? 5,
    jwksCacheMs: jwt.jwksCacheMs ?? 600_000,
    jwksStaleMs: jwt.jwksStaleMs ?? 3_600_000,
  };
}

function oneOrMore<T extends string | RegExp>(value: T | readonly T[] | undefined): T | [T, ...T[]] | undefined {
  // `Array.isArray` does not narrow a readonly array away from `T`.
  return Array.isArray(value) ? ([...(value as readonly T[])] as [T, ...T[]]) : (value as T | undefined);
}
