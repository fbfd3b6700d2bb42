/** For requests that a client marks as idempotent: each runs once. Other messages cost nothing. */
export interface RequestsOptions {
  /**
   * Milliseconds a request and its answer are known. More than the longest handler takes, and a minute more than clients
   * may take to send again. 0: requests are not known, a repeat runs again. @default 300_000
   */
  windowMs?: number | undefined;
  /** Answers kept for each device of a principal; a repeat of an older one gets `ALREADY_APPLIED`. 0: none. @default 256 */
  maxPerDevice?: number | undefined;
  /**
   * Bytes of the answers that are kept for each user, whatever its devices are called: the newest. In memory 16 times as many are kept
   * for all users together. 0: none. @default 4_194_304
   */
  maxBytesPerUser?: number | undefined;
  /** Longest answer that is kept, in bytes of JSON; a repeat of a longer one gets `ALREADY_APPLIED`. 0: none. @default 16_384 */
  maxRecordBytes?: number | undefined;
}

export interface ResolvedRequestsOptions {
  readonly windowMs: number;
  readonly maxPerDevice: number;
  readonly maxBytesPerUser: number;
  readonly maxRecordBytes: number;
}

export function resolveRequestsOptions(options: RequestsOptions = {}): ResolvedRequestsOptions {
  return {
    windowMs: options.windowMs ?? 300_000,
    maxPerDevice: options.maxPerDevice ?? 256,
    maxBytesPerUser: options.maxBytesPerUser ?? 4_194_304,
    maxRecordBytes: options.maxRecordBytes ?? 16_384,
  };
}
