import { userRoom, type PublishReply } from 'nestjs-realtime-protocol';
import {
  checkNames,
  disconnectCommand,
  revokeCommand,
  type DisconnectTarget,
  type RevokeOptions,
} from '../cluster/command-input.js';
import type { ClusterRequests } from '../cluster/cluster-requests.js';
import type { ClusterCommand, CommandLog } from '../cluster/command-log.js';
import type { CommandFollower } from '../cluster/command-follower.js';
import type { Clock } from '../core/clock.js';
import type { NodeId } from '../core/ids.js';
import type { RoomManager } from '../rooms/room-manager.js';
import type { EmitOptions, PublishOptions } from '../rooms/room-publisher.js';
import type { RoomRegistry } from '../rooms/room-registry.js';

export interface RoomTarget {
  /** Ephemeral; see `RoomManager.emit`. */
  emit(event: string, data?: unknown, options?: EmitOptions): void;
  /** See `RoomManager.publish`. */
  publish(event: string, data: unknown, options?: PublishOptions): Promise<PublishReply>;
}

export interface ClusterAnswer {
  /** Nodes that have carried it out. */
  readonly acknowledged: readonly NodeId[];
  /** Nodes that are alive but did not answer within a second: they will, from the log. */
  readonly missing: readonly NodeId[];
}

export interface RealtimeStats {
  readonly nodeId: string;
  readonly connections: number;
  readonly rooms: number;
  readonly isDraining: boolean;
}

export interface RealtimeServiceDeps {
  readonly rooms: RoomManager;
  readonly commands: CommandLog;
  readonly follower: CommandFollower;
  readonly requests: ClusterRequests;
  readonly registry: RoomRegistry;
  readonly clock: Clock;
  readonly drain: () => Promise<void>;
  readonly stats: () => RealtimeStats;
}

/** What an app does to users and rooms from anywhere: controllers, jobs, other gateways. Works without an HTTP server, too. */
export class RealtimeService {
  constructor(private readonly deps: RealtimeServiceDeps) {
    deps.requests.handle('commands.applied', (position) =>
      deps.follower.whenApplied(position as Parameters<CommandFollower['whenApplied']>[0]),
    );
  }

  /** All connections of a user, on every node. */
  toUser(userId: string): RoomTarget {
    checkNames({ userId });
    return this.toRoom(userRoom(userId));
  }

  /** All members of a room, on every node. */
  toRoom(room: string): RoomTarget {
    const { rooms } = this.deps;
    return {
      emit: (event, data, options) => rooms.emit(room, event, data, options),
      publish: (event, data, options) => rooms.publish(room, event, data, options),
    };
  }

  /** Ends connections for good on every node; they may connect again with valid credentials. Rejects if the cluster did not take it. */
  async disconnect(target: DisconnectTarget, reason?: string): Promise<ClusterAnswer> {
    return this.command(disconnectCommand(target, reason));
  }

  /**
   * Refuses credentials from now on and ends the connections that use them, on every node within a second (six if a
   * message between nodes was lost). Kept for `auth.maxTokenLifeMs`. Rejects with `UNAVAILABLE` if the cluster did not take it.
   */
  async revoke(options: RevokeOptions): Promise<ClusterAnswer> {
    return this.command(revokeCommand(options, this.deps.clock.unixNow()));
  }

  /** Hands this node's connections over; see the guide on rolling restarts. */
  drain(): Promise<void> {
    return this.deps.drain();
  }

  stats(): RealtimeStats {
    return this.deps.stats();
  }

  private async command(command: ClusterCommand): Promise<ClusterAnswer> {
    const position = await this.deps.commands.append(command);
    const { answers, missing } = await this.deps.requests.request('commands.applied', position);
    return { acknowledged: answers.map(({ nodeId }) => nodeId), missing };
  }
}
