import { anonymousPrincipal, type Authenticator, type Credentials } from '../auth/authenticator.js';
import type { Revocations } from '../auth/revocations.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { ConnectAttempt } from './connection-link.js';

export interface OpenOptions {
  /** The gateway of this namespace admits connections without a token. */
  readonly allowAnonymous: boolean;
  /** What `ConnectionFlow.authenticate` has found for this CONNECT; undefined: the check is asked now. */
  readonly credentials?: Credentials | undefined;
}

export interface Checks {
  readonly authenticator: Authenticator;
  readonly revocations: Revocations;
}

/** Finds out who connects, by the app's check and by what was revoked. Rejects with the refusal. */
export async function askWho(attempt: ConnectAttempt, options: OpenOptions, checks: Checks): Promise<Credentials> {
  const { authenticator, revocations } = checks;
  if (!attempt.isOpen) throw new RealtimeError('UNAVAILABLE', 'The connection left while it waited');
  if (options.credentials) return options.credentials;
  if (!authenticator.covers(attempt.namespace)) return { principal: anonymousPrincipal() };
  const credentials = await authenticator.authenticate(attempt.readHandshake(), options);
  if (revocations.isRevoked(credentials)) throw new RealtimeError('REVOKED');
  return credentials;
}
