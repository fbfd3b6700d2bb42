import { RoomPolicy, type CanJoin, type CanPublish } from 'nestjs-realtime';

const HOUR_MS = 3_600_000;

/** Publications that a `brief/…` room keeps. */
export const BRIEF_SIZE = 10;

/** Keeps everything that a test sends. */
@RoomPolicy('exact/:id', { history: { size: 5_000, ttlMs: HOUR_MS } })
export class ExactRoomPolicy implements CanJoin, CanPublish {
  canJoin(): boolean {
    return true;
  }

  canPublish(): boolean {
    return true;
  }
}

/** Keeps so little that who is away for seconds misses something for good. */
@RoomPolicy('brief/:id', { history: { size: BRIEF_SIZE, ttlMs: HOUR_MS } })
export class BriefRoomPolicy extends ExactRoomPolicy {}
