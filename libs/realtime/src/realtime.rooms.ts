import { SERVER_EVENTS } from 'nestjs-realtime-protocol';
import type { LocalSockets } from './core/link.js';
import { HostedPresence } from './presence/hosted-presence.js';
import type { ClusterParts } from './realtime.cluster.js';
import type { NodeContext } from './realtime.context.js';
import { HostedRooms } from './rooms/hosted-rooms.js';
import { MemberQueries } from './rooms/member-queries.js';
import { PositionCheck } from './rooms/position-check.js';
import { RoomBroadcast } from './rooms/room-broadcast.js';
import { RoomManager } from './rooms/room-manager.js';
import { RoomMembership } from './rooms/room-membership.js';
import { RoomPolicies } from './rooms/room-policies.js';
import { RoomRegistry } from './rooms/room-registry.js';

/** Rooms of this node: who is in them, what their channels say, and how server code reaches them. */
export class RoomParts {
  readonly registry = new RoomRegistry();
  readonly policies = new RoomPolicies();
  readonly hosted: HostedRooms;
  readonly membership: RoomMembership;
  readonly manager: RoomManager;
  readonly positions: PositionCheck;

  constructor(
    private readonly context: NodeContext,
    cluster: ClusterParts,
    private readonly sockets: LocalSockets,
  ) {
    const { clock, metrics, nodeId, options, engine, note } = context;
    const { bus, commands, publications, presence: store } = engine;
    const { presence, requests } = cluster;
    const { registry, policies } = this;
    const broadcast = new RoomBroadcast(registry, sockets, metrics);
    this.hosted = new HostedRooms({
      ...{ bus, clock, metrics, nodeId, broadcast, lingerMs: options.rooms.lingerMs },
      hasMembers: (room) => registry.has(room),
      createPresence: (room) => this.createPresence(room),
    });
    const { hosted } = this;
    this.membership = new RoomMembership({
      registry,
      policies,
      clock,
      hosted,
      presence,
      maxRooms: options.limits.maxRooms,
    });
    const queries = new MemberQueries({ registry, policies, store, requests });
    this.manager = new RoomManager({
      ...{ bus, commands, publications, broadcast, registry, metrics, nodeId },
      ...{ requests, membership: this.membership, hosted, queries },
    });
    this.positions = new PositionCheck({ store, hosted, presence, onError: note });
  }

  private createPresence(room: string): HostedPresence | undefined {
    const { options, engine, clock, metrics } = this.context;
    if (!this.policies.match(room)?.declared.options.presence) return undefined;
    const { coalesceMs, maxListed, settleMs } = options.presence;
    return new HostedPresence({
      ...{ room, store: engine.presence, clock, metrics, coalesceMs, maxListed, settleMs },
      emit: (payload) => this.sockets.broadcast(room, SERVER_EVENTS.presence, [payload]),
    });
  }
}
