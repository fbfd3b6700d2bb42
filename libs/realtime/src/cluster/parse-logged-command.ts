import type { ClusterCommand, LoggedCommand } from './command-log.js';

const KINDS: ReadonlySet<string> = new Set<ClusterCommand['kind']>(['disconnect', 'kick', 'close-room', 'revoke']);

/** A message of the command channel, or undefined if it is not one. Its kind may be one that only a newer version knows. */
export function parseLoggedCommand(payload: string): LoggedCommand | undefined {
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || typeof value['id'] !== 'string') return undefined;
  const { position, command } = value;
  if (!isRecord(position) || !isRecord(command)) return undefined;
  if (typeof position['epoch'] !== 'string' || !Number.isSafeInteger(position['offset'])) return undefined;
  return typeof command['kind'] === 'string' ? (value as unknown as LoggedCommand) : undefined;
}

export function isKnownCommand(command: { kind: string }): command is ClusterCommand {
  return KINDS.has(command.kind);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
