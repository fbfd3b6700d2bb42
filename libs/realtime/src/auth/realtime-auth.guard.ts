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
    const hasRoles = requirements(ROLES_KEY, context).every((any) =>
      any.some((role) => principal.roles.includes(role)),
    );
    const hasScopes = requirements(SCOPES_KEY, context).every((all) =>
      all.every((one) => principal.scopes.includes(one)),
    );
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

function requirements(key: string, context: ExecutionContext): Requirements {
  return [context.getClass(), context.getHandler()].flatMap(
    (subject: object) => (Reflect.getMetadata(key, subject) ?? []) as Requirements,
  );
}
