import type { RedisMonitor, SeenCommand } from '../../support/redis-monitor.js';

/** Commands that came over connections, without what scripts did. */
export function commandsOf({ seen }: RedisMonitor): SeenCommand[] {
  return seen.filter(({ from }) => from !== 'lua');
}

/** The keys of a script, or the first argument of a command. */
export function keysOf({ args }: SeenCommand): readonly string[] {
  const [name = '', first = '', count = ''] = args;
  return name === 'EVAL' || name === 'EVALSHA' ? args.slice(3, 3 + Number(count)) : [first];
}

/** The room whose keys a command uses. */
export function roomOf(command: SeenCommand): string | undefined {
  return /\{([^}]+)\}:(?:log|p)/.exec(keysOf(command)[0] ?? '')?.[1];
}

/** A script with the keys of a room's log and no third one, which only publishing has. */
export function isLogRead(command: SeenCommand): boolean {
  const [log = '', meta = '', ...others] = keysOf(command);
  return others.length === 0 && log.endsWith('}:log') && meta.endsWith('}:logm');
}

/** A read that asks for entries, not only where the log stands (limit -1: see log-read.lua). */
export function isPageRead(command: SeenCommand): boolean {
  const LIMIT = 2 + keysOf(command).length + 8;
  return isLogRead(command) && command.args[LIMIT] !== '-1';
}

/** What a command of a node is for. */
export function familyOf(command: SeenCommand): string {
  const { args } = command;
  const [name, channel = ''] = args;
  if (name === 'PING' || (name === 'PUBLISH' && channel.includes(':probe:'))) return 'probe';
  if (keysOf(command).some((key) => key.includes('{#nodes}:'))) return 'lease';
  const isPresenceRead = (name === 'HMGET' || name === 'HLEN') && roomOf(command) !== undefined;
  return isPresenceRead || isLogRead(command) ? 'room' : `other: ${args.slice(0, 5).join(' ').slice(0, 150)}`;
}
