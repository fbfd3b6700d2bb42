import type { INestApplication } from '@nestjs/common';
import {
  PresenceService,
  RealtimeService,
  RoomManager,
  type PublishOptions,
  type RevokeOptions,
} from 'nestjs-realtime';

/** What a test may ask of a node that is another process: arguments and answers are JSON. */
export function createOperations(app: INestApplication) {
  const rooms = app.get(RoomManager);
  const presence = app.get(PresenceService);
  const realtime = app.get(RealtimeService);
  const ticking = new Map<string, NodeJS.Timeout>();
  return {
    /** Answered after everything that this node told before. */
    fence: () => null,
    list: async (room: string) => (await presence.list(room, { limit: 1_000 })).users,
    isOnline: (userId: string) => presence.isOnline(userId),
    count: (room: string) => rooms.count(room),
    publish: (room: string, event: string, data: unknown, options?: Pick<PublishOptions, 'id'>) =>
      rooms.publish(room, event, data, options),
    /** With the Unix time at which it was called. */
    revoke: async (options: Pick<RevokeOptions, 'userId' | 'tokenId' | 'reason'>): Promise<Revoked> => {
      const at = Date.now();
      return { at, ...(await realtime.revoke(options)) };
    },
    stats: () => realtime.stats(),
    /** Emits `tick { node, seq }` to the room, locally and to the cluster, until `stopTicks`. */
    startTicks: (room: string, everyMs: number): null => {
      let seq = 0;
      const node = realtime.stats().nodeId;
      ticking.set(
        room,
        setInterval(() => rooms.emit(room, 'tick', { node, seq: (seq += 1) }), everyMs),
      );
      return null;
    },
    stopTicks: (room: string): null => {
      clearInterval(ticking.get(room));
      ticking.delete(room);
      return null;
    },
  };
}

export interface Revoked {
  readonly at: number;
  readonly acknowledged: readonly string[];
  readonly missing: readonly string[];
}

export type NodeOperations = ReturnType<typeof createOperations>;

/** Parent to node. */
export interface NodeRequest {
  readonly id: number;
  readonly operation: keyof NodeOperations;
  readonly args: readonly unknown[];
}

/** Node to parent. */
export type NodeMessage =
  | { readonly kind: 'listening'; readonly url: string }
  | { readonly kind: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: NodeFailure }
  | NodeReport;

/** What a node tells without being asked; `at` in Unix milliseconds. */
export type NodeReport =
  | {
      readonly kind: 'change';
      readonly type: string;
      readonly room: string;
      readonly userId: string;
      readonly at: number;
    }
  /** A connection of the namespace `chat` has ended. */
  | { readonly kind: 'ended'; readonly connectionId: string; readonly at: number };

export interface NodeFailure {
  readonly code: string | undefined;
  readonly message: string;
}
