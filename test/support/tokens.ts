import jwt from 'jsonwebtoken';
import { leaks } from './leaks/leak-watch.js';

/** The secret of every test app. */
export const TEST_SECRET = 'a-secret-for-tests-that-is-long-enough-for-hs256';

export interface TokenClaims {
  sub?: string | undefined;
  roles?: readonly string[];
  scope?: string;
  jti?: string;
  /** Seconds from now; default 10 minutes. */
  expiresInSec?: number;
  [claim: string]: unknown;
}

export function mintToken(sub: string, claims: TokenClaims = {}): string {
  const { expiresInSec = 600, ...rest } = claims;
  const token = jwt.sign({ sub, ...rest }, TEST_SECRET, { algorithm: 'HS256', expiresIn: expiresInSec });
  leaks.rememberToken(token);
  return token;
}
