import type { Principal } from '../core/principal.js';
import type { Retention } from '../history/room-log.js';

/** Metadata key of `@RoomPolicy`; a string, so that two copies of the library agree. */
export const ROOM_POLICY_METADATA = 'realtime:room-policy';

export interface RoomPolicyOptions {
  /** Keep and show who is in the room. Default false. */
  readonly presence?: boolean;
  /**
   * What the room keeps, so that clients recover what they missed: the newest `size` publications (1 to 10 000), each for
   * `ttlMs` (at least 1 000). Absent: nothing; publications reach whoever is there, at most once.
   */
  readonly history?: Retention;
  /** Most connections in the room, in the whole cluster. 0 or absent: no limit of its own. */
  readonly maxMembers?: number;
  /** Namespaces whose connections may join; absent: all. */
  readonly namespaces?: readonly string[];
  /**
   * Whether connections without an identity are asked about at all: those that came through `@AllowAnonymous()`, and all of
   * a namespace that `auth.namespaces` leaves to the app (`false`). Otherwise they are refused before `canJoin` and
   * `canPublish`, with `FORBIDDEN`. @default false
   */
  readonly anonymous?: boolean;
}

/** What a policy is asked about. */
export interface RoomContext {
  readonly principal: Principal;
  readonly room: string;
  /** Decoded parameters of the pattern. */
  readonly params: Readonly<Record<string, string>>;
  readonly namespace: string;
  readonly connectionId: string;
  /** What the client sent with its join; not validated. */
  readonly meta?: unknown;
}

/** A richer answer than a boolean. */
export interface JoinDecision {
  readonly allow: boolean;
  /** Code and message of the refusal; default `FORBIDDEN`. */
  readonly code?: string;
  readonly message?: string;
  /** Sent in the join reply. */
  readonly state?: unknown;
  /**
   * Milliseconds after which the policy is asked again; a refusal then removes the connection. 0 or absent: never. A policy that
   * throws has not answered: the connection stays and the policy is asked again with backoff, for 10 times `expiresInMs` and
   * 600 000 at most. Then the room ends for it with `UNAVAILABLE`, retryable.
   */
  readonly expiresInMs?: number;
}

export interface CanJoin {
  canJoin(context: RoomContext): boolean | JoinDecision | Promise<boolean | JoinDecision>;
}

export interface CanPublish {
  /** Asked for `realtime:publish` of a client; server code may always publish. Absent: nobody. */
  canPublish(context: RoomContext & { readonly event: string; readonly data: unknown }): boolean | Promise<boolean>;
}

/**
 * Marks a provider as the policy of all rooms that match `pattern` (`'chat/:id'`). Found by discovery; without a policy
 * no client can join. Two patterns that match the same rooms fail boot.
 */
export function RoomPolicy(pattern: string, options: RoomPolicyOptions = {}): ClassDecorator {
  return (target) => Reflect.defineMetadata(ROOM_POLICY_METADATA, { pattern, options }, target);
}
