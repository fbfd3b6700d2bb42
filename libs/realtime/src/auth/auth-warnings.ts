import { KeyObject } from 'node:crypto';
import type { ResolvedAuthOptions } from './auth-options.js';

/** RFC 7518 §3.2: a key of HS256 is as long as its hash. */
const LEAST_SECRET_BYTES = 32;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** What works and is weak, one line each: the issuer of tokens decides, and it may be somebody else. */
export function authWarnings({ jwt }: Pick<ResolvedAuthOptions, 'jwt'>): string[] {
  const warnings: string[] = [];
  const { secret, jwksUri } = jwt ?? {};
  if (secret !== undefined && bytesOf(secret) < LEAST_SECRET_BYTES)
    warnings.push(
      `auth.jwt.secret: less than ${LEAST_SECRET_BYTES} bytes; who has one token can guess it. Set a random text of at least ${LEAST_SECRET_BYTES} bytes.`,
    );
  if (jwksUri !== undefined && isOpenHttp(jwksUri))
    warnings.push('auth.jwt.jwksUri: http; who is between can put in keys of their own. Use https.');
  return warnings;
}

function bytesOf(secret: string | Buffer | KeyObject): number {
  return secret instanceof KeyObject ? (secret.symmetricKeySize ?? 0) : Buffer.byteLength(secret);
}

function isOpenHttp(uri: string): boolean {
  const { protocol, hostname } = new URL(uri);
  return protocol === 'http:' && !LOOPBACK.test(hostname);
}
