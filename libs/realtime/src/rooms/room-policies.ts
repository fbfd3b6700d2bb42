import { printable } from '../core/printable.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { Retention } from '../history/room-log.js';
import { isUserRoom } from './user-rooms.js';
import { compareSpecificity, compilePattern, matchPattern, type RoomPattern } from './room-pattern.js';
import {
  ROOM_POLICY_METADATA,
  type CanJoin,
  type CanPublish,
  type JoinDecision,
  type RoomContext,
  type RoomPolicyOptions,
} from './room-policy.js';

/** Most publications that a room keeps: one read returns a tenth of them. */
const MAX_HISTORY_SIZE = 10_000;
const MIN_HISTORY_TTL_MS = 1_000;

export interface DeclaredPolicy {
  readonly pattern: string;
  readonly options: RoomPolicyOptions;
  /** Name of the class, for messages. */
  readonly name: string;
  readonly policy: Partial<CanJoin & CanPublish>;
}

export interface PolicyMatch {
  readonly declared: DeclaredPolicy;
  readonly params: Readonly<Record<string, string>>;
}

/** All policies of the app, most specific first. Deny by default: a room that nothing matches cannot be joined. */
export class RoomPolicies {
  private policies: readonly { pattern: RoomPattern; declared: DeclaredPolicy }[] = [];

  /** Policies that have refused somebody without an identity: said once of each. */
  private readonly told = new WeakSet<DeclaredPolicy>();
  /** Policies of whose rooms a native one was joined. */
  private readonly toldOfNative = new WeakSet<DeclaredPolicy>();

  /**
   * @param userHistory What users' own rooms keep; they have no policy.
   * @param warn Gets a line for the log.
   */
  constructor(
    private readonly userHistory?: Retention | undefined,
    private readonly warn?: (line: string) => void,
  ) {}

  /** @throws Error listing every problem: bad pattern, two equal ones, bad numbers, a class without `canJoin`. */
  load(declared: readonly DeclaredPolicy[]): void {
    const problems: string[] = [];
    const compiled = declared.flatMap((policy) => {
      problems.push(...checkPolicy(policy));
      try {
        return [{ pattern: compilePattern(policy.pattern), declared: policy }];
      } catch (error) {
        problems.push(`@RoomPolicy on ${policy.name}: ${(error as Error).message}`);
        return [];
      }
    });
    compiled.sort((a, b) => compareSpecificity(a.pattern, b.pattern));
    for (const [index, one] of compiled.entries()) {
      const next = compiled[index + 1];
      if (next && compareSpecificity(one.pattern, next.pattern) === 0) {
        problems.push(
          `@RoomPolicy('${one.declared.pattern}') on ${one.declared.name} and @RoomPolicy('${next.declared.pattern}') on ${next.declared.name} match the same rooms: keep one`,
        );
      }
    }
    if (problems.length > 0) throw new Error(`Room policies cannot be used:\n- ${problems.join('\n- ')}`);
    this.policies = compiled;
  }

  get size(): number {
    return this.policies.length;
  }

  match(room: string): PolicyMatch | undefined {
    for (const { pattern, declared } of this.policies) {
      const params = matchPattern(pattern, room);
      if (params) return { declared, params };
    }
    return undefined;
  }

  /** Before a policy is asked anything about a client. @throws RealtimeError if it speaks of signed-in clients alone. */
  checkIdentity(
    { declared }: PolicyMatch,
    { principal, namespace }: Pick<RoomContext, 'principal' | 'namespace'>,
  ): void {
    if (principal.isAnonymous !== true || declared.options.anonymous === true) return;
    if (!this.told.has(declared)) {
      this.told.add(declared);
      this.warn?.(
        `@RoomPolicy('${declared.pattern}') on ${declared.name}: a client without an identity was refused (namespace '${namespace}'). Nobody authenticates it; if strangers may use these rooms, add \`anonymous: true\` to the policy. Said once.`,
      );
    }
    throw new RealtimeError('FORBIDDEN', 'Only signed-in clients may use this room');
  }

  /** Asks the policy; a refusal throws its code, a policy that throws is a bug and surfaces as it is. */
  async askToJoin(match: PolicyMatch, context: RoomContext): Promise<JoinDecision> {
    const { policy, options } = match.declared;
    if (options.namespaces && !options.namespaces.includes(context.namespace)) throw new RealtimeError('FORBIDDEN');
    this.checkIdentity(match, context);
    const answer = (await policy.canJoin?.(context)) ?? false;
    const decision = typeof answer === 'boolean' ? { allow: answer } : answer;
    if (!decision.allow) throw new PolicyRefusal(decision.code ?? 'FORBIDDEN', decision.message);
    return decision;
  }

  /** Somebody was put into the Socket.IO room of that name who is no member: said once of each policy. */
  noteNativeRoom(room: string): void {
    const declared = this.match(room)?.declared;
    if (!declared || this.toldOfNative.has(declared)) return;
    this.toldOfNative.add(declared);
    this.warn?.(
      `A client that is no member was put into the Socket.IO room ${printable(room)} (client.join, socketsJoin), which @RoomPolicy('${declared.pattern}') on ${declared.name} is about: it hears server.to(room).emit() alone, no publications and no presence. Let it join with realtime:join, or with RoomManager.join(). Said once.`,
    );
  }

  /** What the room keeps of its publications; undefined: nothing. */
  retentionOf(room: string): Retention | undefined {
    return isUserRoom(room) ? this.userHistory : this.match(room)?.declared.options.history;
  }
}

/** A policy's `{ allow: false }`, whatever its code. */
export class PolicyRefusal extends RealtimeError {}

export function readPolicyMetadata(type: object): { pattern: string; options: RoomPolicyOptions } | undefined {
  return Reflect.getMetadata(ROOM_POLICY_METADATA, type) as { pattern: string; options: RoomPolicyOptions } | undefined;
}

function checkPolicy({ name, options, policy, pattern }: DeclaredPolicy): string[] {
  const problems: string[] = [];
  if (typeof policy.canJoin !== 'function') problems.push(`${name} has no canJoin(): nobody could join '${pattern}'`);
  const where = `@RoomPolicy('${pattern}') on ${name}`;
  if (options.history !== undefined) problems.push(...checkRetention(options.history, `${where}: history`));
  const { maxMembers } = options;
  if (maxMembers !== undefined && (!Number.isInteger(maxMembers) || maxMembers < 0)) {
    problems.push(`${where}: maxMembers must be a whole number, 0 for no limit`);
  }
  if (options.anonymous !== undefined && typeof options.anonymous !== 'boolean') {
    problems.push(`${where}: anonymous must be true or false`);
  }
  if (options.namespaces?.some((namespace) => !namespace.startsWith('/'))) {
    problems.push(`${where}: namespaces start with '/', as in '/chat'`);
  }
  return problems;
}

/** Problems of a `history` option, each naming the field and what it may be. */
export function checkRetention(value: unknown, where: string): string[] {
  const { size, ttlMs } = (value ?? {}) as { readonly [K in keyof Retention]?: unknown };
  const problems: string[] = [];
  if (!isWhole(size, 1, MAX_HISTORY_SIZE))
    problems.push(
      `${where}.size: must be a whole number of 1 to ${MAX_HISTORY_SIZE} publications; leave history out for none`,
    );
  if (!isWhole(ttlMs, MIN_HISTORY_TTL_MS, Number.MAX_SAFE_INTEGER))
    problems.push(`${where}.ttlMs: must be a whole number of at least ${MIN_HISTORY_TTL_MS} milliseconds`);
  return problems;
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}
