import type { Clock } from '../core/clock.js';
import type { RealtimeLogger } from '../core/logger.js';
import { onOneLine } from '../core/printable.js';
import { isReplyError } from './redis-unavailable-error.js';

export interface RefusalsOptions {
  readonly clock: Clock;
  readonly logger: RealtimeLogger;
  /** Host and port, for messages. */
  readonly address: string;
  readonly connectTimeoutMs: number;
  readonly required: boolean;
}

/** Longest part of the server's words in a message, in characters. */
const MAX_WORDS = 200;
const FORBIDDEN = /^(?:NOPERM|NOAUTH)\b/;
/** Milliseconds between looks for a refusal after `connectTimeoutMs`, while a server is only slow. */
const LOOK_AGAIN_MS = 1_000;

/** What to do about it, by the first word of the server's answer. */
const ADVICE: Readonly<Record<string, string>> = {
  OOM: 'raise maxmemory or free some: with noeviction a full Redis takes no writes',
  READONLY: 'this is a replica: give the address of the master, or redis.sentinel',
  MASTERDOWN: 'this is a replica without its master: give the address of the master, or redis.sentinel',
  NOPERM:
    'give the user of redis.username the commands, keys and channels of the ACL in the guide "History and recovery"',
  NOAUTH: 'set redis.password, and redis.username if it has users',
  WRONGPASS: 'check redis.username and redis.password',
  MISCONF: 'it cannot save to its disk: look at its log',
  LOADING: 'it reads its data',
  ERR: 'perhaps the command is renamed, or this is another or an older server than Redis 6.2',
};

/**
 * What a Redis that answers says no with. Invariant: no boot waits for a Redis that refuses; one that is only slow is waited
 * for, because a machine that stands still looks the same.
 */
export class Refusals {
  readonly #options: RefusalsOptions;
  #words: string | undefined;
  /** Tasks that boot has waited for, or goes on without. */
  #pending = 0;
  #wasServed = false;
  /** Codes that were warned of after boot. */
  readonly #told = new Set<string>();
  #unserved = 0;
  /** Of all that boot waits for. */
  #deadline: number | undefined;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** Boot went on without something that Redis refuses, and still does. */
  get isRefused(): boolean {
    return this.#unserved > 0;
  }

  /** Any failure of a command or a subscription; only what the server itself said counts. */
  note(error: unknown): void {
    if (!isReplyError(error)) return;
    this.#words = onOneLine(error.message).slice(0, MAX_WORDS);
    const [code] = FORBIDDEN.exec(this.#words) ?? [];
    if (this.#wasServed && this.#pending === 0 && code !== undefined) this.#tellForbidden(code);
  }

  /**
   * Resolves when the task is done; or, if Redis refuses, `connectTimeoutMs` after the first of these calls, with one warning: the
   * task goes on. Rejects then if Redis is required.
   */
  untilServed(task: Promise<unknown>): Promise<void> {
    const { clock, connectTimeoutMs, required } = this.#options;
    return new Promise((resolve, reject) => {
      const judge = (): void => {
        if (this.#words === undefined) return void (cancel = clock.after(LOOK_AGAIN_MS, judge));
        if (required) return reject(new Error(this.#say('')));
        this.#goOnWithout(task);
        resolve();
      };
      this.#deadline ??= clock.now() + connectTimeoutMs;
      let cancel = clock.after(Math.max(0, this.#deadline - clock.now()), judge);
      this.#pending += 1;
      const served = (): void => {
        this.#wasServed = true;
        resolve();
      };
      task.then(served, reject).finally(() => {
        this.#pending -= 1;
        cancel();
      });
    });
  }

  /** The rules of its user were changed: nobody else would say so. */
  #tellForbidden(code: string): void {
    if (this.#told.has(code)) return;
    this.#told.add(code);
    this.#options.logger.warn(this.#say(''));
  }

  #goOnWithout(task: Promise<unknown>): void {
    const { logger, address } = this.#options;
    if (!this.isRefused) logger.warn(this.#say(': running degraded, will keep trying'));
    this.#unserved += 1;
    const served = (): void => {
      this.#unserved -= 1;
      if (!this.isRefused) logger.log(`Redis at ${address} refuses nothing any more`);
    };
    task.then(served, () => undefined);
  }

  #say(consequence: string): string {
    const words = this.#words ?? '';
    const advice = ADVICE[/^-?([A-Z]+)/.exec(words)?.[1] ?? ''];
    const mend = advice === undefined ? '' : `. To mend it: ${advice}`;
    return `Redis at ${this.#options.address} answers, but refuses what a node needs (${words})${consequence}${mend}`;
  }
}
