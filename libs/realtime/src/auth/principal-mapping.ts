import { roomNameProblem, userRoom } from 'nestjs-realtime-protocol';
import type { Principal } from '../core/principal.js';
import { ANONYMOUS_PREFIX } from './authenticator.js';
import { deepFreeze } from './jwt-claims.js';
import { unauthorized } from './refusal.js';
import type { Claims } from './verification-cache.js';

/** Who a token or a session stands for, as `auth.principal` and `auth.verify` say it. */
export interface PrincipalInput {
  /**
   * 1 to 128 characters, no control characters, not starting with `anonymous:`. At most 195 percent-encoded, since the
   * user's own room is named after it.
   */
  id: string;
  sessionId?: string | undefined;
  /** At most 256, of at most 256 characters. Default: none. */
  roles?: readonly string[] | undefined;
  /** As `roles`. */
  scopes?: readonly string[] | undefined;
  /** Plain data, copied and frozen. Default: the token's claims, or none with `auth.verify`. */
  claims?: Readonly<Record<string, unknown>> | undefined;
}

export const MAX_ID_LENGTH = 128;
const MAX_LIST_LENGTH = 256;
const MAX_ITEM_LENGTH = 256;
/** Lone surrogates cannot be percent-encoded into a room name; control characters have no place in a log line. */
const UNFIT_FOR_ID = /[\p{Cc}\p{Cs}]/u;

/** `sub`, `sid` or `jti`, `roles`, and `scope` (a text) or `scp` (a text or a list): RFC 7519, RFC 8693 §4.2. */
export function defaultPrincipal(claims: Claims): PrincipalInput {
  const { sub, sid, jti, roles, scope, scp } = claims;
  if (typeof sub !== 'string' && !Number.isFinite(sub)) throw refused('the token has no sub');
  return {
    id: String(sub),
    sessionId: (sid ?? jti ?? undefined) as string | undefined,
    roles: (roles ?? []) as string[],
    scopes: scopesOf(scope ?? scp) as string[],
  };
}

/** Checks and freezes what a mapping returned: it may be the app's code, fed with the issuer's data. */
export function toPrincipal(input: unknown, claims: Claims, expiresAt: number | undefined): Principal {
  if (typeof input !== 'object' || input === null) throw refused('no principal');
  const { id, sessionId, roles, scopes, claims: own } = input as Record<string, unknown>;
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH)
    throw refused('no principal id of 1-128 characters');
  if (UNFIT_FOR_ID.test(id)) throw refused('the principal id holds control characters or half a character');
  const problem = roomNameProblem(userRoom(id));
  if (problem !== undefined) throw refused(`the principal id names no room of its own, which ${problem}`);
  if (id.startsWith(ANONYMOUS_PREFIX)) throw refused('the principal id is reserved');
  return deepFreeze({
    id,
    ...(sessionId === undefined || sessionId === null ? {} : { sessionId: sessionIdOf(sessionId) }),
    roles: listOf(roles, 'roles'),
    scopes: listOf(scopes, 'scopes'),
    claims: own === undefined || own === claims ? claims : plainCopy(own),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  });
}

function scopesOf(scope: unknown): unknown {
  return typeof scope === 'string' ? scope.split(' ').filter((one) => one !== '') : (scope ?? []);
}

function sessionIdOf(value: unknown): string {
  if (typeof value === 'string' && value !== '' && value.length <= MAX_ITEM_LENGTH) return value;
  throw refused('the session id is not a text of 1-256 characters');
}

function listOf(value: unknown, name: string): string[] {
  const list: unknown = value ?? [];
  const isFine =
    Array.isArray(list) &&
    list.length <= MAX_LIST_LENGTH &&
    list.every((item) => typeof item === 'string' && item.length <= MAX_ITEM_LENGTH);
  if (!isFine) throw refused(`${name} is not a list of at most ${MAX_LIST_LENGTH} texts`);
  return [...(list as string[])];
}

function plainCopy(claims: unknown): Claims {
  if (typeof claims !== 'object' || claims === null) throw refused('claims are not an object');
  return structuredClone(claims) as Claims;
}

function refused(reason: string): Error {
  return unauthorized(new Error(reason));
}
