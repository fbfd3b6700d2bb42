import type { Position } from 'nestjs-realtime-protocol';
import {
  COMMANDS_CHANNEL,
  type ClusterCommand,
  type CommandLog,
  type CommandLogOptions,
  type LoggedCommand,
} from '../cluster/command-log.js';
import { randomId } from '../core/ids.js';
import { loadScript } from './load-script.js';
import type { ScriptRunner } from './script-runner.js';

const APPEND = loadScript('command-append');
const READ = loadScript('command-read');
const PAGE = 500;
const ACTION_TTL_MS = 600_000;

/** The command log in Redis, in the slot of the node leases. The epoch changes with the server, which may have lost entries. */
export class RedisCommandLog implements CommandLog {
  readonly #redis: ScriptRunner;
  readonly #options: CommandLogOptions;
  readonly #keys: readonly string[];

  constructor(redis: ScriptRunner, options: CommandLogOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#keys = ['log:meta', 'log', 'log:expiry'].map((name) => `${redis.keyPrefix}{nodes}:${name}`);
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async append(command: ClusterCommand): Promise<Position> {
    const { revokeTtlMs, actionTtlMs = ACTION_TTL_MS } = this.#options;
    const ttlMs = command.kind === 'revoke' ? revokeTtlMs : actionTtlMs;
    const channel = this.#redis.keyPrefix + COMMANDS_CHANNEL;
    const args = [JSON.stringify({ id: randomId(), command }), String(ttlMs), channel, randomId(9)];
    const [epoch, offset] = (await this.#redis.run(APPEND, this.#keys, args)) as [string, number];
    return { epoch, offset };
  }

  async read(after?: Position): Promise<{ commands: LoggedCommand[]; top: Position }> {
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
