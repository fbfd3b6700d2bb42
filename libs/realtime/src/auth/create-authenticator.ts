import { systemClock, type Clock } from '../core/clock.js';
import type { Principal } from '../core/principal.js';
import type { ResolvedAuthOptions, Verify, VerifiedPrincipal } from './auth-options.js';
import { anonymousPrincipal, type AuthenticateContext, type Authenticator, type Credentials } from './authenticator.js';
import { findToken, withToken, type RealtimeHandshake } from './handshake.js';
import { defaultPrincipal, toPrincipal } from './principal-mapping.js';
import { toMappingFailure, toRefusal, unauthorized, withDeadline } from './refusal.js';
import { createTokenVerifier, type TokenVerifier } from './token-verifier.js';
import { RealtimeError } from '../core/realtime-error.js';

/** Undefined: the handshake names nobody. */
type Check = (handshake: RealtimeHandshake) => Promise<Credentials | undefined>;

/** Picks JWT or the app's own check for each namespace. Keys are read here, a JWKS only when the first token comes. */
export async function createAuthenticator(
  options: ResolvedAuthOptions,
  deps: { clock?: Clock } = {},
): Promise<Authenticator> {
  const clock = deps.clock ?? systemClock;
  const { verify } = options;
  const main =
    verify === undefined ? jwtCheck(options, await createTokenVerifier(options, clock)) : ownCheck(verify, clock);
  // One for each function: namespaces with the same one trust the same credentials.
  const own = new Map<Verify, Check>(verify === undefined ? [] : [[verify, main]]);
  const checks = new Map<string, Check | false>();
  for (const [name, chosen] of Object.entries(options.namespaces)) {
    const check = chosen !== false && (own.get(chosen.verify) ?? ownCheck(chosen.verify, clock));
    if (chosen !== false && check !== false) own.set(chosen.verify, check);
    checks.set(name, check);
  }
  return new HandshakeAuthenticator(options, clock, (namespace) => checks.get(namespace) ?? main);
}

class HandshakeAuthenticator implements Authenticator {
  constructor(
    private readonly options: ResolvedAuthOptions,
    private readonly clock: Clock,
    private readonly checkOf: (namespace: string) => Check | false,
  ) {}

  covers(namespace: string): boolean {
    return this.checkOf(namespace) !== false;
  }

  sharesCheck(namespace: string, other: string): boolean {
    const check = this.checkOf(namespace);
    return check !== false && check === this.checkOf(other);
  }

  async authenticate(handshake: RealtimeHandshake, context: AuthenticateContext): Promise<Credentials> {
    const found = findToken(handshake, this.options);
    if (found.kind === 'malformed') throw unauthorized();
    const credentials = await this.run(handshake);
    if (credentials !== undefined) return credentials;
    // A token that the app's check took for nothing is a bad one: only its absence makes a stranger.
    if (context.allowAnonymous !== true || found.kind === 'token') throw unauthorized();
    return { principal: anonymousPrincipal() };
  }

  async refresh(token: unknown, current: Principal, handshake: RealtimeHandshake): Promise<Credentials> {
    // Checked here, since an empty token would make the handshake's own old one count again.
    if (typeof token !== 'string' || token === '') throw unauthorized();
    const renewed = withToken(handshake, token);
    if (findToken(renewed).kind !== 'token') throw unauthorized();
    const credentials = await this.run(renewed);
    if (credentials === undefined || credentials.principal.id !== current.id) throw unauthorized();
    return credentials;
  }

  private async run(handshake: RealtimeHandshake): Promise<Credentials | undefined> {
    const check = this.checkOf(handshake.namespace);
    if (check === false) throw unauthorized();
    try {
      return await withDeadline(this.clock, this.options.timeoutMs, () => check(handshake));
    } catch (error) {
      throw toRefusal(error);
    }
  }
}

function jwtCheck(options: ResolvedAuthOptions, verifier: TokenVerifier): Check {
  return async (handshake) => {
    const found = findToken(handshake, options);
    if (found.kind !== 'token') return undefined;
    const claims = await verifier.verify(found.token);
    const { exp, iat, jti } = claims as { exp: number; iat?: number; jti?: unknown };
    const input =
      options.principal === undefined ? defaultPrincipal(claims) : await mapped(options.principal, claims, handshake);
    return {
      principal: toPrincipal(input, claims, exp * 1_000),
      ...(typeof jti === 'string' ? { tokenId: jti } : {}),
      ...(iat === undefined ? {} : { issuedAtMs: iat * 1_000 }),
    };
  };
}

async function mapped(map: NonNullable<ResolvedAuthOptions['principal']>, ...args: Parameters<typeof map>) {
  try {
    return await map(...args);
  } catch (error) {
    throw toMappingFailure(error);
  }
}

function ownCheck(verify: Verify, clock: Clock): Check {
  return async (handshake) => {
    const verified = await verify(handshake);
    if (verified === null || verified === undefined || verified === false) return undefined;
    const { expiresAt, issuedAt, tokenId } = times(verified);
    if (expiresAt !== undefined && expiresAt <= clock.unixNow()) throw new RealtimeError('TOKEN_EXPIRED');
    return {
      principal: toPrincipal(verified, {}, expiresAt),
      ...(tokenId === undefined ? {} : { tokenId }),
      ...(issuedAt === undefined ? {} : { issuedAtMs: issuedAt }),
    };
  };
}

function times(verified: VerifiedPrincipal): Pick<VerifiedPrincipal, 'expiresAt' | 'issuedAt' | 'tokenId'> {
  const { expiresAt, issuedAt, tokenId } = verified;
  for (const time of [expiresAt, issuedAt])
    if (time !== undefined && !Number.isFinite(time)) throw new TypeError('auth.verify: times are Unix milliseconds');
  return { expiresAt, issuedAt, tokenId };
}
