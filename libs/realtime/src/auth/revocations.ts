import type { Credentials } from './authenticator.js';

// Which credentials were withdrawn. Pure: it is fed from the cluster's command log and asked for each connection.
// It never talks to Redis, and never ends a connection by itself.
// Invariant: a revocation is forgotten only when every token that it could hit has expired.

export interface Revocation {
  readonly userId?: string | undefined;
  /** The token's `jti`, or the session's id (`sid`): all tokens of that session. Wins over `userId`. */
  readonly tokenId?: string | undefined;
  /** Unix milliseconds: tokens issued earlier, or at an unknown time, are revoked. Default: `at`, or any with `tokenId`. */
  readonly issuedBefore?: number | undefined;
  /** Unix milliseconds of the revocation itself. */
  readonly at: number;
  readonly reason?: string | undefined;
}

/** Lookups are O(1); memory grows with the users and tokens revoked within `maxTokenLifeMs`. */
export class Revocations {
  private readonly users = new Map<string, Revocation>();
  private readonly tokens = new Map<string, Revocation>();

  get size(): number {
    return this.users.size + this.tokens.size;
  }

  /** Hearing the same again, or an older one, changes nothing. One that names nobody is ignored. */
  add(revocation: Revocation): void {
    const { tokenId, userId } = revocation;
    if (tokenId !== undefined) keepStronger(this.tokens, tokenId, revocation);
    else if (userId !== undefined) keepStronger(this.users, userId, revocation);
  }

  isRevoked(credentials: Credentials): boolean {
    return this.find(credentials) !== undefined;
  }

  /**
   * The revocation that hits these credentials. `iat` has whole seconds, so a token issued in the second of the
   * revocation counts as issued before it: that user signs in once more, but nobody stays in.
   */
  find({ principal, tokenId, issuedAtMs }: Credentials): Revocation | undefined {
    if (this.size === 0) return undefined;
    const candidates = [
      this.users.get(principal.id),
      tokenId === undefined ? undefined : this.tokens.get(tokenId),
      principal.sessionId === undefined ? undefined : this.tokens.get(principal.sessionId),
    ];
    return candidates.find((one) => one !== undefined && (issuedAtMs === undefined || issuedAtMs < limitOf(one)));
  }

  /** Forgets what can hit no token any more: tokens live at most `maxTokenLifeMs`. */
  prune(nowUnixMs: number, maxTokenLifeMs: number): void {
    for (const map of [this.users, this.tokens])
      for (const [id, one] of map) if (endOfUse(one) + maxTokenLifeMs < nowUnixMs) map.delete(id);
  }

  /** All that still count, oldest first: what a node re-appends when the command log was lost. */
  active(): Revocation[] {
    return [...this.users.values(), ...this.tokens.values()].sort((a, b) => a.at - b.at);
  }
}

function keepStronger(map: Map<string, Revocation>, id: string, next: Revocation): void {
  const known = map.get(id);
  if (known === undefined || limitOf(next) > limitOf(known)) map.set(id, next);
  else if (limitOf(next) === limitOf(known) && next.at > known.at) map.set(id, next);
}

/** Tokens issued before this are hit. */
function limitOf({ issuedBefore, tokenId, at }: Revocation): number {
  return issuedBefore ?? (tokenId === undefined ? at : Infinity);
}

/** The latest moment at which a token that it hits may have been issued, as far as is known. */
function endOfUse({ issuedBefore, at }: Revocation): number {
  return Math.max(at, issuedBefore ?? at);
}
