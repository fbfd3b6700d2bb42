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
  readonly position: Position;
  readonly command: ClusterCommand;
}

/** A short, durable, ordered list of commands. Appending also publishes on `COMMANDS_CHANNEL`. */
export interface CommandLog extends Lifecycle {
  /** Rejects with `UNAVAILABLE` when the log did not take it. Entries older than the log's ttl are trimmed. */
  append(command: ClusterCommand): Promise<Position>;
  /** All entries after `after` (all that are kept if undefined or of another epoch) and the log's top. */
  read(after?: Position): Promise<{ commands: LoggedCommand[]; top: Position }>;
}

/** Payload on this channel: the JSON of one `LoggedCommand`. */
export const COMMANDS_CHANNEL = '{commands}:ch';
