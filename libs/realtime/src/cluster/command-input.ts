import { RealtimeError } from '../core/realtime-error.js';
import type { ClusterCommand } from './command-log.js';

export type DisconnectTarget = { readonly userId: string } | { readonly connectionId: string };

export interface RevokeOptions {
  readonly userId?: string | undefined;
  /** A token's `jti`. */
  readonly tokenId?: string | undefined;
  /** Tokens issued before are refused, and those without `iat`. Default: now, for a user; all, for a token. */
  readonly issuedBefore?: Date | undefined;
  readonly reason?: string | undefined;
}

/** @throws RealtimeError `BAD_REQUEST` if nobody is named. */
export function disconnectCommand(target: DisconnectTarget, reason?: string): ClusterCommand {
  const { userId, connectionId } = target as { userId?: string; connectionId?: string };
  checkNames({ userId, connectionId });
  return {
    kind: 'disconnect',
    userId,
    connectionId,
    code: 'FORBIDDEN',
    reason: reason ?? 'Disconnected by the server',
  };
}

/** @throws RealtimeError `BAD_REQUEST` if neither a user nor a token is named, or for a date that is none. */
export function revokeCommand(options: RevokeOptions, unixNow: number): ClusterCommand {
  const { userId, tokenId, issuedBefore, reason } = options;
  checkNames({ userId, tokenId });
  if (issuedBefore !== undefined && !Number.isFinite(issuedBefore.getTime())) {
    throw new RealtimeError('BAD_REQUEST', 'issuedBefore must be a valid date');
  }
  return { kind: 'revoke', userId, tokenId, issuedBefore: issuedBefore?.getTime(), at: unixNow, reason };
}

/** At least one name, and none of them empty or of another type: a command that names nobody could hit everybody. */
export function checkNames(names: Readonly<Record<string, unknown>>): void {
  const given = Object.entries(names).filter(([, value]) => value !== undefined);
  const [bad] = given.find(([, value]) => typeof value !== 'string' || value === '') ?? [];
  if (bad !== undefined) throw new RealtimeError('BAD_REQUEST', `${bad} must be a non-empty string`);
  if (given.length === 0) throw new RealtimeError('BAD_REQUEST', `${Object.keys(names).join(' or ')} is needed`);
}
