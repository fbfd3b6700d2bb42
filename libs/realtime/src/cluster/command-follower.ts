import type { Position } from 'nestjs-realtime-protocol';
import type { Cancel, Clock } from '../core/clock.js';
import type { Lifecycle } from '../core/lifecycle.js';
import type { ClusterBus } from './cluster-bus.js';
import { AppliedCommands } from './applied-commands.js';
import type { ClusterCommand, CommandLog, LoggedCommand } from './command-log.js';
import { isKnownCommand, parseLoggedCommand } from './parse-logged-command.js';

export interface CommandFollowerOptions {
  log: CommandLog;
  bus: ClusterBus;
  clock: Clock;
  /** Called once for each command, in the log's order. A command that ran longer does not hold back the next. */
  apply(command: ClusterCommand): void | Promise<void>;
  /** Revocations that must hold: those missing in a log that lost its past are appended again. */
  activeRevocations(): readonly ClusterCommand[];
  /** `apply` failed or the log could not be read. Reading is tried again. */
  onError(error: unknown): void;
  /** Shared with a follower of another log that holds the same commands. Default: its own. */
  applied?: AppliedCommands | undefined;
  /** Milliseconds between attempts to load the log. Default 2 000. */
  retryMs?: number | undefined;
}

/**
 * Carries out the cluster's commands on this node, each once and in order. Refuses to trust the channel alone: a hole, a
 * new epoch, a top that is ahead and a bus that is back all make it read the log. A handler that fails stops nothing.
 */
export class CommandFollower implements Lifecycle {
  readonly #options: CommandFollowerOptions;
  readonly #applied: AppliedCommands;
  readonly #waiting = new Set<{ position: Position; resolve: () => void }>();
  #position: Position | undefined;
  #reading: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #loading: Promise<void> | undefined;
  #mustReappend = false;
  #forgetBus: () => void = () => undefined;
  #cancelRetry: Cancel = () => undefined;
  #isClosed = false;
  #resolveLoaded: () => void = () => undefined;

  constructor(options: CommandFollowerOptions) {
    this.#options = options;
    this.#applied = options.applied ?? new AppliedCommands();
  }

  /** Position of the last applied command; undefined until the log was loaded. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Resolves when the subscription is active and the log was loaded, however long that takes; also when closed. */
  ready(): Promise<void> {
    this.#loading ??= new Promise((resolve) => {
      this.#resolveLoaded = resolve;
      if (this.#isClosed) return resolve();
      this.#forgetBus = this.#options.bus.onState((state) => {
        if (state === 'up' && this.#position !== undefined) this.#readSoon();
      });
      void this.#load();
    });
    return this.#loading;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry();
    this.#forgetBus();
    this.#resolveLoaded();
    for (const { resolve } of this.#waiting) resolve();
    this.#waiting.clear();
    return Promise.resolve();
  }

  /** What a look at the leases said about the log. */
  onTop(top: Position): void {
    if (this.#position === undefined) return;
    const isBehind = top.epoch !== this.#position.epoch || top.offset > this.#position.offset;
    if (isBehind || this.#mustReappend) this.#readSoon();
  }

  /** Applies everything the log holds at the time of the call. Rejects with `UNAVAILABLE` if it cannot be read. */
  catchUp(): Promise<void> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => (this.#reading = undefined));
      return this.#reading;
    }
    // A read on its way may have looked already before the caller's moment.
    this.#next ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.catchUp();
      });
    return this.#next;
  }

  /** Resolves when the command at `position` was applied here; at once if the log has another epoch by now, or when closed. */
  whenApplied(position: Position): Promise<void> {
    if (this.#isClosed || this.#hasPassed(position)) return Promise.resolve();
    this.#readSoon();
    return new Promise((resolve) => this.#waiting.add({ position, resolve }));
  }

  async #load(): Promise<void> {
    try {
      await this.#options.bus.subscribe(this.#options.log.channel, (payload) => this.#receive(payload));
      await this.catchUp();
      this.#resolveLoaded();
    } catch (error) {
      if (this.#isClosed) return;
      this.#options.onError(error);
      this.#cancelRetry = this.#options.clock.after(this.#options.retryMs ?? 2_000, () => void this.#load());
    }
  }

  #receive(payload: string): void {
    if (this.#isClosed) return;
    const logged = parseLoggedCommand(payload);
    if (logged === undefined)
      return this.#options.onError(new Error('ignored a malformed message on the command channel'));
    const { epoch, offset } = logged.position;
    if (this.#position === undefined || this.#position.epoch !== epoch || this.#reading !== undefined)
      return this.#readSoon();
    if (offset <= this.#position.offset) return;
    if (offset === this.#position.offset + 1) this.#apply(logged);
    else this.#readSoon();
  }

  #readSoon(): void {
    this.catchUp().catch((error: unknown) => this.#isClosed || this.#options.onError(error));
  }

  async #read(): Promise<void> {
    const from = this.#position;
    const { commands, top } = await this.#options.log.read(from);
    if (this.#isClosed) return;
    for (const logged of commands) this.#apply(logged);
    this.#position = top;
    this.#settle();
    if (from !== undefined && from.epoch !== top.epoch) this.#mustReappend = true;
    if (this.#mustReappend) await this.#reappend(commands);
  }

  async #reappend(logged: readonly LoggedCommand[]): Promise<void> {
    const held = new Set(logged.map(({ command }) => identify(command)));
    for (const command of this.#options.activeRevocations()) {
      if (!held.has(identify(command))) await this.#options.log.append(command);
    }
    this.#mustReappend = false;
  }

  #apply({ id, position, command }: LoggedCommand): void {
    this.#position = position;
    if (this.#applied.add(id)) this.#run(command);
    this.#settle();
  }

  #run(command: ClusterCommand): void {
    // A newer version's command, during a roll-out: not ours to understand.
    if (!isKnownCommand(command)) return;
    try {
      Promise.resolve(this.#options.apply(command)).catch((error: unknown) => this.#options.onError(error));
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #hasPassed({ epoch, offset }: Position): boolean {
    return this.#position !== undefined && (this.#position.epoch !== epoch || this.#position.offset >= offset);
  }

  #settle(): void {
    for (const waiter of this.#waiting) {
      if (!this.#hasPassed(waiter.position)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}

/** Two revocations with the same identity have the same effect, whatever the order of their keys. */
function identify(command: ClusterCommand): string {
  if (command.kind !== 'revoke') return '';
  return JSON.stringify([command.userId, command.tokenId, command.issuedBefore, command.at]);
}
