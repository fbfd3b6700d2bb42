/** What lives long. Both methods are idempotent and may be awaited by several callers. */
export interface Lifecycle {
  /** Resolves when the thing does what it promises; rejects if it never will. */
  ready(): Promise<void>;
  /** Releases sockets and timers. Resolves when nothing of it is left; never rejects. */
  close(): Promise<void>;
}
