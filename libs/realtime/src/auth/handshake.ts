import type { IncomingHttpHeaders } from 'node:http';
import { parseCookie } from 'cookie';

/** What a client said when it opened a connection in one namespace. Nothing in it is trusted. */
export interface RealtimeHandshake {
  /** The namespace, with its slash: `/chat`. */
  readonly namespace: string;
  /** The `auth` of the CONNECT packet: whatever the client sent, of any type. */
  readonly auth: unknown;
  readonly headers: IncomingHttpHeaders;
  /** The query of the upgrade request. */
  readonly query: Record<string, unknown>;
  /** The peer's address. */
  readonly address: string;
  /** Path and query of the upgrade request. */
  readonly url: string;
  /** Whether the upgrade came over TLS. */
  readonly secure?: boolean | undefined;
}

export interface TokenSources {
  /** Name of the cookie that may carry the token. */
  readonly cookie?: string | undefined;
  readonly allowQueryToken?: boolean | undefined;
}

/** `none`: no credentials at all. `malformed`: something stands where a token belongs, but it cannot be one. */
export type FoundToken = { kind: 'none' } | { kind: 'malformed' } | { kind: 'token'; token: string };

/** Longer tokens are refused before anything parses them. Tokens in the field stay below 2 KB; headers end at 16 KB. */
export const MAX_TOKEN_BYTES = 4_096;

const NONE: FoundToken = { kind: 'none' };
const MALFORMED: FoundToken = { kind: 'malformed' };

/**
 * Looks in `handshake.auth.token`, then `Authorization: Bearer`, then the cookie, then (only if allowed) the query.
 * The first source that holds something decides. Never throws, whatever the client sent.
 */
export function findToken(handshake: RealtimeHandshake, sources: TokenSources = {}): FoundToken {
  const { auth } = handshake;
  if (auth !== undefined && auth !== null && !isRecord(auth)) return MALFORMED;
  const candidates = [
    () => auth?.['token'],
    () => bearerToken(handshake.headers.authorization),
    () => cookieToken(handshake.headers.cookie, sources.cookie),
    () => (sources.allowQueryToken === true ? handshake.query['token'] : undefined),
  ];
  for (const candidate of candidates) {
    const found = classify(candidate());
    if (found.kind !== 'none') return found;
  }
  return NONE;
}

/** A token that replaces the handshake's own: what a refresh is checked with. */
export function withToken(handshake: RealtimeHandshake, token: string): RealtimeHandshake {
  const auth = isRecord(handshake.auth) ? handshake.auth : {};
  return { ...handshake, auth: { ...auth, token } };
}

/** For logs: the same address without the value of its `token` parameters. */
export function redactToken(url: string): string {
  return url.replace(/([?&;](?:[a-z_]*token)=)[^&;#]*/gi, '$1[redacted]');
}

function classify(value: unknown): FoundToken {
  if (value === undefined || value === null || value === '') return NONE;
  if (typeof value !== 'string') return MALFORMED;
  // A UTF-8 text is never shorter in bytes than in UTF-16 units, so a huge text is not even measured.
  if (value.length > MAX_TOKEN_BYTES || Buffer.byteLength(value) > MAX_TOKEN_BYTES) return MALFORMED;
  return { kind: 'token', token: value };
}

function bearerToken(authorization: unknown): string | undefined {
  if (typeof authorization !== 'string') return undefined;
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1];
}

/** The cookie of this name; undefined without a name. */
export function cookieToken(header: unknown, name: string | undefined): string | undefined {
  if (name === undefined || typeof header !== 'string') return undefined;
  return parseCookie(header)[name];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
