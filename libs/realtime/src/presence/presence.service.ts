import { Inject, Injectable } from '@nestjs/common';
import { roomNameProblem, userRoom, type PresenceUser } from 'nestjs-realtime-protocol';
import { Observable, type Subject } from 'rxjs';
import type { Principal } from '../core/principal.js';
import { RealtimeError } from '../core/realtime-error.js';
import { NodePresence } from './node-presence.js';
import { encodeMeta } from './presence-meta.js';
import { isOwnRoom } from './presence-user.js';
import { PRESENCE_STORE, type PresencePage, type PresenceStore, type PresenceTransition } from './presence-store.js';

/** A `Subject` of this node's transitions: `NodePresence.onTransition` feeds it. */
export const PRESENCE_TRANSITIONS = Symbol.for('nestjs-realtime:presence-transitions');

export interface PresenceEvent {
  /** The user's first device came, its last one went, its devices or metadata changed; the room's first user, its last. */
  readonly type: 'join' | 'leave' | 'update' | 'occupied' | 'empty';
  readonly room: string;
  /** As it is after the change: without devices after a leave. */
  readonly user: PresenceUser;
}

export interface PresenceListOptions {
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
  /** 1 to 1 000. @default 100 */
  readonly limit?: number | undefined;
}

const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;

/**
 * Who is in which room, in the whole cluster. Reads ask the storage, never other nodes: they answer while nodes hang, and
 * reject with `UNAVAILABLE` while Redis is away. Refuses an empty target with `BAD_REQUEST`: it would mean everybody.
 */
@Injectable()
export class PresenceService {
  /**
   * What changed in rooms, on the node that made the change: once in the cluster, at least once after a crash. Nothing about
   * `user/<id>` rooms. Never completes by itself.
   */
  readonly changes: Observable<PresenceEvent>;

  constructor(
    @Inject(PRESENCE_STORE) private readonly store: PresenceStore,
    @Inject(NodePresence) private readonly node: NodePresence,
    @Inject(PRESENCE_TRANSITIONS) transitions: Subject<PresenceTransition>,
  ) {
    this.changes = new Observable((subscriber) =>
      transitions.subscribe((transition) => {
        for (const event of presenceEvents(transition)) subscriber.next(event);
      }),
    );
  }

  /** Users in the order of their ids; who is there all the time is listed exactly once. */
  async list(room: string, { cursor, limit = DEFAULT_PAGE }: PresenceListOptions = {}): Promise<PresencePage> {
    assertRoom(room);
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
      throw badRequest('limit', `must be a whole number from 1 to ${MAX_PAGE}`);
    }
    return this.store.list(room, { cursor, limit });
  }

  async get(room: string, userId: string): Promise<PresenceUser | undefined> {
    assertRoom(room);
    assertUser(userId);
    return this.store.get(room, userId);
  }

  /** Users, not connections. O(1). */
  async count(room: string): Promise<number> {
    assertRoom(room);
    return (await this.store.count(room)).users;
  }

  /** `lastSeen`, in Unix milliseconds, is known for seven days after the user's last connection anywhere ended. */
  async isOnline(userId: string): Promise<{ online: boolean; lastSeen?: number }> {
    assertUser(userId);
    const room = userRoom(userId);
    const [{ users }, lastSeen] = await Promise.all([this.store.count(room), this.store.lastSeen(room, userId)]);
    if (users > 0) return { online: true };
    return lastSeen === undefined ? { online: false } : { online: false, lastSeen };
  }

  /**
   * New metadata of a connection of this node in a room that it has joined: JSON, at most 2 KiB; undefined removes it.
   * @throws RealtimeError `BAD_REQUEST` naming the field, `NOT_FOUND` if the connection is not in the room.
   */
  async update(
    connection: { readonly id: string; readonly principal: Pick<Principal, 'id'> },
    room: string,
    meta: unknown,
  ): Promise<void> {
    assertRoom(room);
    encodeMeta(meta);
    await this.node.update(room, { userId: connection.principal.id, connectionId: connection.id }, meta);
  }
}

function presenceEvents({ room, kind, user, occupied, empty }: PresenceTransition): PresenceEvent[] {
  if (kind === 'none' || isOwnRoom(room)) return [];
  return [
    ...(occupied ? [{ type: 'occupied', room, user } as const] : []),
    { type: kind, room, user },
    ...(empty ? [{ type: 'empty', room, user } as const] : []),
  ];
}

function assertRoom(room: unknown): void {
  const problem = roomNameProblem(room);
  if (problem !== undefined) throw badRequest('room', problem);
}

function assertUser(userId: unknown): void {
  if (typeof userId !== 'string' || userId === '') throw badRequest('userId', 'must be a user id');
}

function badRequest(field: string, problem: string): RealtimeError {
  return new RealtimeError('BAD_REQUEST', `${field} ${problem}`, { details: [{ field, problem }] });
}
