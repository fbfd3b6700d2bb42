import type { Position } from 'nestjs-realtime-protocol';
import type { Lifecycle } from '../core/lifecycle.js';

/** What every node has to carry out, also one that was cut off when it was said. */
export type ClusterCommand =
  | {
      kind: 'disconnect';
      userId?: string | undefined;
      connectionId?: string | undefined;
      transportId?: string | undefined;
      code: string;
      reason?: string | undefined;
    }
  | {
      kind: 'kick';
      room: string;
      userId?: string | undefined;
      connectionId?: string | undefined;
      reason?: string | undefined;
    }
  | { kind: 'close-room'; room: string; reason?: string | undefined }
  | {
      kind: 'revoke';
      userId?: string | undefined;
      tokenId?: string | undefined;
      /** Unix milliseconds: tokens issued before, or without `iat`, are refused. Absent: all tokens of the user or the one token. */
      issuedBefore?: number | undefined;
      /** Unix milliseconds of the revocation itself. */
      at: number;
      reason?: string | undefined;
    };

export interface LoggedCommand {
  /** Random: the same command has the same id in every epoch. */
  readonly id: string;
  readonly position: Position;
  readonly command: ClusterCommand;
}

/** How long entries are kept. */
export interface CommandLogOptions {
  /** Milliseconds a `revoke` is kept: the longest life of a token. */
  revokeTtlMs: number;
  /**
   * Milliseconds the other commands are kept: longer than a node may be cut off and come back. Default 600 000; the end of a single
   * transport at most 60 000.
   */
  actionTtlMs?: number | undefined;
}

const ACTION_TTL_MS = 600_000;
/** The end of one transport for a newer one of its user: made by clients, as often as they connect. Four leases. */
const REPLACEMENT_TTL_MS = 60_000;

/** Milliseconds that a command is kept. */
export function ttlOf(
  command: ClusterCommand,
  { revokeTtlMs, actionTtlMs = ACTION_TTL_MS }: CommandLogOptions,
): number {
  if (command.kind === 'revoke') return revokeTtlMs;
  const isReplacement = command.kind === 'disconnect' && command.transportId !== undefined;
  return isReplacement ? Math.min(REPLACEMENT_TTL_MS, actionTtlMs) : actionTtlMs;
}

/** A short, durable, ordered list of commands. Appending also publishes on its channel. */
export interface CommandLog extends Lifecycle {
  /** Payloads: the JSON of one `LoggedCommand`. */
  readonly channel: string;
  /** Rejects with `UNAVAILABLE` when the log did not take it. Offsets count up by one, also over a change of epoch. */
  append(command: ClusterCommand): Promise<Position>;
  /**
   * All entries after `after` (all that are kept if undefined or of another epoch) and the log's top. Offsets missing in
   * between have expired.
   */
  read(after?: Position): Promise<{ commands: LoggedCommand[]; top: Position }>;
}
