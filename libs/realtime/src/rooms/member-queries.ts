import type { ClusterRequests } from '../cluster/cluster-requests.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { PresenceStore } from '../presence/presence-store.js';
import { isTracked } from './room-entry.js';
import type { RoomPolicies } from './room-policies.js';
import type { RoomRegistry } from './room-registry.js';

export interface RoomConnection {
  readonly connectionId: string;
  readonly userId: string;
  readonly device: string;
}

export interface RoomConnectionsPage {
  readonly connections: readonly RoomConnection[];
  /** Cursor of the next page; absent on the last. */
  readonly next?: string | undefined;
  /** Nodes that did not answer in time: their connections are not listed. Always empty for rooms with presence. */
  readonly missing: readonly string[];
}

export interface MemberQueriesDeps {
  readonly registry: RoomRegistry;
  readonly policies: RoomPolicies;
  readonly store: PresenceStore;
  readonly requests: ClusterRequests;
}

/** Most connections in one page of `members`. */
const MAX_PAGE = 1_000;

/** Who is in a room in the whole cluster: rooms that the store tracks are read there, for the others the nodes are asked. */
export class MemberQueries {
  constructor(private readonly deps: MemberQueriesDeps) {
    deps.requests.handle('rooms.count', (room) => Promise.resolve(deps.registry.members(String(room)).size));
    deps.requests.handle('rooms.members', (room) => Promise.resolve(this.here(String(room))));
  }

  async count(room: string): Promise<number> {
    if (this.isTracked(room)) return (await this.deps.store.count(room)).connections;
    const { answers } = await this.deps.requests.request('rooms.count', room);
    return answers.reduce((sum, { value }) => sum + Number(value), 0);
  }

  async members(room: string, page: { cursor?: string; limit?: number }): Promise<RoomConnectionsPage> {
    const limit = page.limit ?? 100;
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
      throw new RealtimeError('BAD_REQUEST', `limit must be a whole number from 1 to ${MAX_PAGE}`);
    }
    if (this.isTracked(room)) {
      const { entries, next } = await this.deps.store.entries(room, { cursor: page.cursor, limit });
      const connections = entries.map(({ connectionId, userId, device }) => ({ connectionId, userId, device }));
      return { connections, next, missing: [] };
    }
    const { answers, missing } = await this.deps.requests.request('rooms.members', room);
    const all = answers
      .flatMap(({ value }) => value as RoomConnection[])
      .filter(({ connectionId }) => page.cursor === undefined || connectionId > page.cursor)
      .sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1));
    const connections = all.slice(0, limit);
    return { connections, next: all.length > limit ? connections.at(-1)?.connectionId : undefined, missing };
  }

  private isTracked(room: string): boolean {
    return isTracked(this.deps.policies.match(room)?.declared.options);
  }

  private here(room: string): RoomConnection[] {
    return [...this.deps.registry.members(room)].map((member) => ({
      connectionId: member.link.id,
      userId: member.principal.id,
      device: member.device,
    }));
  }
}
