/** Who a connection acts for. Replaced as a whole when the token is refreshed; never changed in place. */
export interface Principal {
  readonly id: string;
  /** The login session, if the token names one: what `revoke({ tokenId })` and audits refer to. */
  readonly sessionId?: string | undefined;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  /** Unix time in milliseconds; absent: the credentials do not expire by themselves. */
  readonly expiresAt?: number | undefined;
  /** True for a connection that came without a token through `@AllowAnonymous()`. */
  readonly isAnonymous?: boolean | undefined;
}
