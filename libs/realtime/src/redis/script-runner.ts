/** One Lua script in its own file under `redis/lua/`, loaded once. */
export interface RedisScript {
  readonly name: string;
  readonly lua: string;
  readonly sha1: string;
}

/** What the stores need of Redis: scripts and single commands with a deadline and a bounded queue. */
export interface ScriptRunner {
  /** Put before every key and channel of ours; default `rt:`. */
  readonly keyPrefix: string;
  /**
   * EVALSHA with a fallback to EVAL. All keys share one hash tag. `keys` and channel arguments are complete (prefix included).
   * Rejects with `UNAVAILABLE` when the queue is full or the deadline passed before it was sent, with `INTERNAL` on a script error.
   */
  run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** One plain command, first argument its name, second its key. Same errors. Commands of one turn are pipelined. */
  command(...args: readonly string[]): Promise<unknown>;
}
