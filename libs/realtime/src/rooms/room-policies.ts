import { RealtimeError } from '../core/realtime-error.js';
import { compareSpecificity, compilePattern, matchPattern, type RoomPattern } from './room-pattern.js';
import {
  ROOM_POLICY_METADATA,
  type CanJoin,
  type CanPublish,
  type JoinDecision,
  type RoomContext,
  type RoomPolicyOptions,
} from './room-policy.js';

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

  /** @throws Error listing every problem: bad pattern, two equal ones, `history`, a class without `canJoin`. */
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
}

/** Asks the policy; a refusal throws its code, a policy that throws is a bug and surfaces as it is. */
export async function askToJoin(match: PolicyMatch, context: RoomContext): Promise<JoinDecision> {
  const { policy, options } = match.declared;
  if (options.namespaces && !options.namespaces.includes(context.namespace)) throw new RealtimeError('FORBIDDEN');
  const answer = (await policy.canJoin?.(context)) ?? false;
  const decision = typeof answer === 'boolean' ? { allow: answer } : answer;
  if (!decision.allow) throw new RealtimeError(decision.code ?? 'FORBIDDEN', decision.message);
  return decision;
}

export function readPolicyMetadata(type: object): { pattern: string; options: RoomPolicyOptions } | undefined {
  return Reflect.getMetadata(ROOM_POLICY_METADATA, type) as { pattern: string; options: RoomPolicyOptions } | undefined;
}

function checkPolicy({ name, options, policy, pattern }: DeclaredPolicy): string[] {
  const problems: string[] = [];
  if (typeof policy.canJoin !== 'function') problems.push(`${name} has no canJoin(): nobody could join '${pattern}'`);
  if (options.history !== undefined) {
    problems.push(
      `@RoomPolicy('${pattern}', { history }) on ${name}: rooms with history are not available yet, remove it`,
    );
  }
  const { maxMembers } = options;
  if (maxMembers !== undefined && (!Number.isInteger(maxMembers) || maxMembers < 0)) {
    problems.push(`@RoomPolicy('${pattern}') on ${name}: maxMembers must be a whole number, 0 for no limit`);
  }
  if (options.namespaces?.some((namespace) => !namespace.startsWith('/'))) {
    problems.push(`@RoomPolicy('${pattern}') on ${name}: namespaces start with '/', as in '/chat'`);
  }
  return problems;
}
