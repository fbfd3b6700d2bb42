import type { Position } from 'nestjs-realtime-protocol';
import { COMMANDS_CHANNEL, OLDER_COMMANDS_CHANNEL } from '../cluster/channels.js';
import {
  ttlOf,
  type ClusterCommand,
  type CommandLog,
  type CommandLogOptions,
  type LoggedCommand,
} from '../cluster/command-log.js';
import { randomId } from '../core/ids.js';
import { NODES_TAG, OLDER_NODES_TAG } from './key-names.js';
import { loadScript } from './load-script.js';
import type { ScriptRunner } from './script-runner.js';

const APPEND = loadScript('command-append');
const READ = loadScript('command-read');
const PAGE = 500;

type Read = Awaited<ReturnType<CommandLog['read']>>;

/**
 * The command log in Redis, in the slot of the node leases. The epoch changes with the server, which may have lost entries.
 * What is appended is appended to the log of older nodes, too, under the same id.
 */
export class RedisCommandLog implements CommandLog {
  readonly channel = COMMANDS_CHANNEL;
  /** The log that nodes with the key names of before read and write. */
  readonly older: CommandLog;
  readonly #own: KeptCommands;
  readonly #older: KeptCommands;

  constructor(redis: ScriptRunner, options: CommandLogOptions) {
    this.#own = new KeptCommands(redis, options, { tag: NODES_TAG, channel: this.channel });
    this.#older = new KeptCommands(redis, options, { tag: OLDER_NODES_TAG, channel: OLDER_COMMANDS_CHANNEL });
    this.older = new OlderCommandLog(this.#older);
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async append(command: ClusterCommand): Promise<Position> {
    const id = randomId();
    const [position] = await Promise.all([
      this.#own.append(id, command),
      this.#older.append(id, command).catch(unlessTaken),
    ]);
    return position;
  }

  read(after?: Position): Promise<Read> {
    return this.#own.read(after);
  }
}

const NOTHING: Read = { commands: [], top: { epoch: 'taken', offset: 0 } };

/** Its key may be a room's: an older node has let a room of the name `nodes` have it. */
class OlderCommandLog implements CommandLog {
  readonly channel = OLDER_COMMANDS_CHANNEL;

  constructor(private readonly kept: KeptCommands) {}

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async append(command: ClusterCommand): Promise<Position> {
    return (await this.kept.append(randomId(), command).catch(unlessTaken)) ?? NOTHING.top;
  }

  async read(after?: Position): Promise<Read> {
    return (await this.kept.read(after).catch(unlessTaken)) ?? NOTHING;
  }
}

function unlessTaken(error: unknown): undefined {
  if (error instanceof Error && causesOf(error).some(({ message }) => message.includes('WRONGTYPE'))) return undefined;
  throw error;
}

function causesOf(error: Error): Error[] {
  return error.cause instanceof Error ? [error, ...causesOf(error.cause)] : [error];
}

class KeptCommands {
  readonly #redis: ScriptRunner;
  readonly #options: CommandLogOptions;
  readonly #keys: readonly string[];
  readonly #channel: string;

  constructor(redis: ScriptRunner, options: CommandLogOptions, { tag, channel }: { tag: string; channel: string }) {
    this.#redis = redis;
    this.#options = options;
    this.#keys = ['log:meta', 'log', 'log:expiry'].map((name) => `${redis.keyPrefix}${tag}:${name}`);
    this.#channel = redis.keyPrefix + channel;
  }

  async append(id: string, command: ClusterCommand): Promise<Position> {
    const ttlMs = ttlOf(command, this.#options);
    const args = [JSON.stringify({ id, command }), String(ttlMs), this.#channel, randomId(9)];
    const [epoch, offset] = (await this.#redis.run(APPEND, this.#keys, args)) as [string, number];
    return { epoch, offset };
  }

  async read(after?: Position): Promise<Read> {
    const commands: LoggedCommand[] = [];
    let from: Position | undefined = after;
    for (;;) {
      const args = [String(from?.offset ?? -1), from?.epoch ?? '', String(PAGE), randomId(9)];
      const reply = (await this.#redis.run(READ, this.#keys, args)) as [string, number, string[]];
      const [epoch, offset, entries] = reply;
      // Another server between two pages: the first pages are of a past that may not have happened.
      if (from !== undefined && from.epoch !== epoch) commands.length = 0;
      for (const entry of entries) commands.push(toLoggedCommand(epoch, entry));
      const last = commands.at(-1);
      if (entries.length < PAGE || last === undefined) return { commands, top: { epoch, offset } };
      from = last.position;
    }
  }
}

function toLoggedCommand(epoch: string, entry: string): LoggedCommand {
  const colon = entry.indexOf(':');
  const { id, command } = JSON.parse(entry.slice(colon + 1)) as Omit<LoggedCommand, 'position'>;
  return { id, position: { epoch, offset: Number(entry.slice(0, colon)) }, command };
}
