import { isRoomName, type JoinResult } from 'nestjs-realtime-protocol';
import { RealtimeError } from '../core/realtime-error.js';
import type { HostedRooms } from '../rooms/hosted-rooms.js';
import { checkPosition } from '../rooms/room-input.js';
import type { JoinOutcome } from '../rooms/room-joins.js';
import type { ClientJoin } from '../rooms/client-wishes.js';
import type { RoomMembership } from '../rooms/room-membership.js';
import type { Connection } from './connection.js';
import { checkMeta, readRecord } from './request-fields.js';

/** Most rooms in one `realtime:join`. */
const MAX_JOINS = 128;

/** Called at most once; what it is given has to leave at once. */
export type Answer = (value: unknown) => void;

/** `realtime:join`: one room, refused as a whole, or a list, in which each room has its own answer. */
export class ClientJoins {
  constructor(
    private readonly membership: RoomMembership,
    private readonly hosted: HostedRooms,
    /** What a client may be told of a failure. */
    private readonly expected: (connection: Connection, error: unknown) => RealtimeError,
  ) {}

  async join(connection: Connection, data: unknown, answer: Answer): Promise<void> {
    const { rooms } = readRecord(data);
    if (rooms === undefined) {
      const read = this.counted(connection, [data]);
      return this.membership.joinAsClient(connection, read, ([outcome]) => {
        if (outcome && 'error' in outcome) throw outcome.error;
        answer(outcome?.reply);
      });
    }
    if (!Array.isArray(rooms) || rooms.length === 0 || rooms.length > MAX_JOINS) {
      throw new RealtimeError('BAD_REQUEST', `rooms must be a list of 1 to ${MAX_JOINS}`);
    }
    const read = this.counted(connection, rooms);
    await this.membership.joinAsClient(connection, read, (outcomes) =>
      answer(outcomes.map((outcome, index) => this.resultOf(connection, outcome, rooms[index]))),
    );
  }

  /** Reads each room of a join that the client's budgets admit; the others are refused before anybody is asked. */
  private counted(connection: Connection, requests: readonly unknown[]): (() => ClientJoin)[] {
    let ahead = 0;
    return requests.map((request) => {
      const refusal = connection.takeJoin({ isNew: this.isNew(request), ahead });
      if (!refusal) return () => readJoin(request);
      ahead += 1;
      return () => {
        throw refusal;
      };
    });
  }

  /** Nobody on this node is in the room, so it has to be fetched, and may not even exist. */
  private isNew(request: unknown): boolean {
    const { room } = (request ?? {}) as { room?: unknown };
    return isRoomName(room) && !this.hosted.find(room);
  }

  private resultOf(connection: Connection, outcome: JoinOutcome, request: unknown): JoinResult {
    if ('reply' in outcome) return outcome.reply;
    const { room } = (request ?? {}) as { room?: unknown };
    const { error } = outcome;
    return { ...(isRoomName(room) ? { room } : {}), error: this.expected(connection, error).toWire() };
  }
}

function readJoin(data: unknown): ClientJoin {
  const { room, meta, position, since } = readRecord(data);
  if (since !== undefined && since !== 'retention') {
    throw new RealtimeError('BAD_REQUEST', "since must be 'retention'");
  }
  if (since === 'retention' && position !== undefined) {
    throw new RealtimeError('BAD_REQUEST', 'give position or since, not both');
  }
  const from = position === undefined ? undefined : checkPosition('position', position);
  return { room, meta: checkMeta(meta), wanted: { position: from, since } };
}
