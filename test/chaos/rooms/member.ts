import type { Position } from 'nestjs-realtime-protocol';
import type { HeardEvent, SentOutcome } from './room-history.js';

/** What publications of these tests carry. */
export interface Named {
  readonly name: string;
  readonly padding?: string;
}

/** A user in some rooms, whatever its client, and what it heard in each. */
export interface Member extends Disposable {
  readonly user: string;
  /** Its publications to one room are in the room in its order, over all its connections. */
  readonly keepsOrder: boolean;
  readonly heard: ReadonlyMap<string, readonly HeardEvent[]>;
  /** What nobody may send it, in words. */
  readonly malformed: readonly string[];
  readonly connections: number;
  readonly isConnected: boolean;
  position(room: string): Position | undefined;
  /** Ends its connection without a word; back after `awayMs`, or after its usual pause. */
  cut(awayMs?: number): void;
  /** As `realtime:publish`. Never rejects. */
  publish(room: string, data: Named): Promise<SentOutcome>;
}

/** Rooms in which a member has not come as far as `offsets` say. */
export function behind(member: Member, offsets: ReadonlyMap<string, number>): string[] {
  return [...member.heard.keys()].filter((room) => (member.position(room)?.offset ?? -1) < (offsets.get(room) ?? 0));
}

/** Codes that leave open whether it happened. */
const MAYBE = new Set(['UNKNOWN', 'TIMEOUT', 'INTERNAL']);

/** What a reply to a publish says, of a client or of `RoomManager.publish`. */
export function outcomeOf(reply: unknown): SentOutcome {
  const { error, epoch, offset } = reply as { error?: { code: string } } & Partial<Position>;
  if (error) return failureOf(error.code);
  if (epoch === undefined || offset === undefined) throw new Error(`no position in ${JSON.stringify(reply)}`);
  return { status: 'acknowledged', position: { epoch, offset } };
}

export function failureOf(code: string | undefined): SentOutcome {
  return code === undefined || MAYBE.has(code) ? { status: 'unknown' } : { status: 'refused', code };
}
