import { SERVER_EVENTS } from 'nestjs-realtime-protocol';
import type { LocalSockets } from './core/link.js';
import { RecentPublications } from './history/recent-publications.js';
import { HostedPresence } from './presence/hosted-presence.js';
import type { ClusterParts } from './realtime.cluster.js';
import type { NodeContext } from './realtime.context.js';
import { HostedHistory, type HostedHistoryDeps } from './rooms/hosted-history.js';
import { HostedRooms } from './rooms/hosted-rooms.js';
import { MemberQueries } from './rooms/member-queries.js';
import { PositionCheck } from './rooms/position-check.js';
import { PublishQueue } from './rooms/publish-queue.js';
import { RoomBroadcast } from './rooms/room-broadcast.js';
import { RoomHistory } from './rooms/room-history.js';
import { RoomManager } from './rooms/room-manager.js';
import { RoomMembership } from './rooms/room-membership.js';
import { RoomPolicies } from './rooms/room-policies.js';
import { RoomPublisher } from './rooms/room-publisher.js';
import type { NumberedMessage } from './rooms/room-recovery.js';
import { RoomRegistry } from './rooms/room-registry.js';

/** Rooms of this node: who is in them, what their channels say, and how server code reaches them. */
export class RoomParts {
  readonly registry: RoomRegistry;
  readonly policies: RoomPolicies;
  readonly hosted: HostedRooms;
  readonly membership: RoomMembership;
  readonly publisher: RoomPublisher;
  readonly histories: RoomHistory;
  readonly manager: RoomManager;
  readonly positions: PositionCheck;
  private readonly queue: PublishQueue;
  private readonly broadcast: RoomBroadcast;
  private readonly recent: RecentPublications<NumberedMessage>;
  private readonly followers: HostedHistoryDeps;

  constructor(
    private readonly context: NodeContext,
    cluster: ClusterParts,
    sockets: LocalSockets,
  ) {
    const { clock, metrics, nodeId, options, engine, note } = context;
    const { bus, log, commands, presence: store } = engine;
    const { presence, requests } = cluster;
    const registry = (this.registry = new RoomRegistry((room) => sockets.changed(room)));
    const { userHistory, recentBytes } = options.rooms;
    const policies = (this.policies = new RoomPolicies(userHistory, (line) => context.logger.warn(line)));
    this.recent = new RecentPublications(recentBytes);
    const broadcast = (this.broadcast = new RoomBroadcast(registry, sockets, metrics));
    this.followers = {
      ...{ log, clock, metrics, recent: this.recent },
      deliver: (room, message) => broadcast.deliver(room, message),
      tell: (status) => broadcast.tell(status.room, SERVER_EVENTS.room, status),
    };
    this.hosted = new HostedRooms({
      ...{ bus, clock, metrics, nodeId, broadcast, lingerMs: options.rooms.lingerMs },
      hasMembers: (room) => registry.has(room),
      createPresence: (room) => this.createPresence(room),
      createHistory: (room) => this.createHistory(room),
    });
    const { hosted } = this;
    this.membership = new RoomMembership({
      registry,
      policies,
      clock,
      hosted,
      presence,
      metrics,
      onPolicyError: (error, { link, principal }) =>
        context.report(error, { connectionId: link.id, namespace: link.namespace, userId: principal.id }),
      maxRooms: options.limits.maxRooms,
      maxSendBufferBytes: options.limits.maxSendBufferBytes,
    });
    const queries = new MemberQueries({ registry, policies, store, requests });
    this.queue = new PublishQueue({ log, clock, metrics, timeoutMs: options.rooms.publishTimeoutMs });
    this.publisher = new RoomPublisher({
      ...{ bus, log, queue: this.queue, policies, registry, broadcast, clock, metrics, nodeId },
    });
    this.histories = new RoomHistory({ bus, log, policies, metrics });
    const { membership, publisher, histories } = this;
    this.manager = new RoomManager({ commands, requests, publisher, histories, registry, membership, queries });
    this.positions = new PositionCheck({ bus, store, log: engine.log, hosted, presence, clock, onError: note });
  }

  /** A socket is in the Socket.IO room of that name, which makes nobody a member. Apps name their rooms by other values, too. */
  noteNativeRoom(room: unknown, connectionId: string): void {
    if (typeof room !== 'string' || room === connectionId) return;
    if (this.registry.find(connectionId)?.rooms.has(room) === false) this.policies.noteNativeRoom(room);
  }

  private createHistory(room: string): HostedHistory | undefined {
    const retention = this.policies.retentionOf(room);
    return retention && new HostedHistory(room, retention, this.followers);
  }

  close(): void {
    this.queue.close();
    this.positions.close();
    this.hosted.close();
  }

  private createPresence(room: string): HostedPresence | undefined {
    const { options, engine, clock, metrics } = this.context;
    if (!this.policies.match(room)?.declared.options.presence) return undefined;
    const { coalesceMs, maxListed, settleMs } = options.presence;
    return new HostedPresence({
      ...{ room, store: engine.presence, clock, metrics, coalesceMs, maxListed, settleMs },
      emit: (payload, partial) => this.broadcast.tellPresence(room, payload, partial),
    });
  }
}
