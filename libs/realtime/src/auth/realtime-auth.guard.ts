import 'reflect-metadata';
import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { KNOWS_GATEWAYS } from '../core/enhancers.js';
import type { Principal } from '../core/principal.js';
import { RealtimeError } from '../core/realtime-error.js';
import { ROLES_KEY, SCOPES_KEY, type Requirements } from './requirements.js';

/**
 * Refuses messages of connections that have no principal (`UNAUTHORIZED`) or lack a role or scope that `@Roles` or
 * `@RequireScopes` ask for (`FORBIDDEN`). Contexts other than gateways pass: HTTP has its own guards. Needs no injection,
 * so it works in every module and as a global guard.
 */
@Injectable()
export class RealtimeAuthGuard implements CanActivate {
  readonly [KNOWS_GATEWAYS] = true;

  canActivate(context: ExecutionContext): boolean {
    if (context.getType() !== 'ws') return true;
    const principal = getPrincipal(context);
    if (principal === undefined) throw new RealtimeError('UNAUTHORIZED');
    const { roles, scopes } = requirementsOf(context.getClass(), context.getHandler());
    const hasRoles = roles.every((any) => any.some((role) => principal.roles.includes(role)));
    const hasScopes = scopes.every((all) => all.every((one) => principal.scopes.includes(one)));
    if (!hasRoles || !hasScopes) throw new RealtimeError('FORBIDDEN');
    return true;
  }
}

/** The principal of the connection that sent the message; undefined outside gateways and before authentication. */
export function getPrincipal(context: ExecutionContext): Principal | undefined {
  if (context.getType() !== 'ws') return undefined;
  const client = context.switchToWs().getClient<{ data?: { principal?: Principal } } | undefined>();
  return client?.data?.principal;
}

interface HandlerRequirements {
  readonly roles: Requirements;
  readonly scopes: Requirements;
}

/** Decorators have run long before the first message: what a handler asks for is read once. */
const known = new WeakMap<object, WeakMap<object, HandlerRequirements>>();

function requirementsOf(gateway: object, handler: object): HandlerRequirements {
  let ofGateway = known.get(gateway);
  if (!ofGateway) known.set(gateway, (ofGateway = new WeakMap()));
  let found = ofGateway.get(handler);
  if (!found) {
    found = { roles: read(ROLES_KEY, gateway, handler), scopes: read(SCOPES_KEY, gateway, handler) };
    ofGateway.set(handler, found);
  }
  return found;
}

function read(key: string, ...subjects: readonly object[]): Requirements {
  return subjects.flatMap((subject) => (Reflect.getMetadata(key, subject) ?? []) as Requirements);
}
