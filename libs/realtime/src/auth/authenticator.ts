import { randomId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import type { RealtimeHandshake } from './handshake.js';

// Who is this? Answers that for a handshake or a refreshed token, and for nothing else: which namespaces admit
// anonymous connections, what is revoked and when a connection ends is decided by the caller.
// Invariant: every call settles within `auth.timeoutMs`, with credentials or with a `RealtimeError` whose message may
// be shown to the client. Whatever the client sent, nothing is thrown synchronously.

/** Who a connection acts for, and what revocation must know about the token that said so. */
export interface Credentials {
  readonly principal: Principal;
  /** The token's `jti`. */
  readonly tokenId?: string | undefined;
  /** Unix milliseconds; absent: any revocation of the user with `issuedBefore` hits it. */
  readonly issuedAtMs?: number | undefined;
}

export interface AuthenticateContext {
  /** Admits a handshake without any token as an anonymous principal. A bad token is refused all the same. */
  readonly allowAnonymous?: boolean | undefined;
}

export interface Authenticator {
  /** False for a namespace that `auth.namespaces` leaves to the app: the caller then skips `authenticate`. */
  covers(namespace: string): boolean;
  /**
   * Rejects with `UNAUTHORIZED`, `TOKEN_EXPIRED`, `TIMEOUT`, `UNAVAILABLE` (the keys cannot be read now), or what the
   * app's own `verify` or `principal` threw as a `RealtimeError`. A namespace that is not covered is `UNAUTHORIZED`.
   */
  authenticate(handshake: RealtimeHandshake, context: AuthenticateContext): Promise<Credentials>;
  /** Whether the same check decides about both namespaces: what is good in one may be good in the other. */
  sharesCheck(namespace: string, other: string): boolean;
  /** Checks a new token for a live connection. Another subject than `current`'s is `UNAUTHORIZED`. */
  refresh(token: unknown, current: Principal, handshake: RealtimeHandshake): Promise<Credentials>;
}

/** Ids of signed-in users never start with this. */
export const ANONYMOUS_PREFIX = 'anonymous:';

/** A new one for each connection. Its id is shown to others, so it is no id of the connection: that names a private room. */
export function anonymousPrincipal(): Principal {
  return Object.freeze({
    id: `${ANONYMOUS_PREFIX}${randomId()}`,
    roles: Object.freeze([]),
    scopes: Object.freeze([]),
    claims: Object.freeze({}),
    isAnonymous: true,
  });
}
