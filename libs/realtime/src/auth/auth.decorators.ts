import 'reflect-metadata';
import { applyDecorators, createParamDecorator, UseGuards, type ExecutionContext } from '@nestjs/common';
import { RealtimeError } from '../core/realtime-error.js';
import { getPrincipal, RealtimeAuthGuard } from './realtime-auth.guard.js';
import { ROLES_KEY, SCOPES_KEY, type Requirements } from './requirements.js';

/**
 * Only for principals with at least one of these roles; others get `FORBIDDEN`. On a gateway class it holds for every
 * handler, and a handler's own adds to it. Brings `RealtimeAuthGuard` with it.
 */
export function Roles(...roles: [string, ...string[]]): ClassDecorator & MethodDecorator {
  return demand(ROLES_KEY, 'Roles', roles);
}

/** As `Roles`, but the principal needs all of these scopes. */
export function RequireScopes(...scopes: [string, ...string[]]): ClassDecorator & MethodDecorator {
  return demand(SCOPES_KEY, 'RequireScopes', scopes);
}

/**
 * Injects the connection's `Principal` into a handler. In a namespace that is left to the app there is none: the message
 * is answered with `UNAUTHORIZED`. Outside gateways it injects `undefined`.
 */
export const CurrentPrincipal = createParamDecorator((_data: unknown, context: ExecutionContext) => {
  const principal = getPrincipal(context);
  if (principal === undefined && context.getType() === 'ws') throw new RealtimeError('UNAUTHORIZED');
  return principal;
});

function demand(key: string, name: string, wanted: string[]): ClassDecorator & MethodDecorator {
  // Without this, "any of nothing" would lock everybody out, and "all of nothing" nobody.
  if (wanted.length === 0) throw new RangeError(`@${name}() needs at least one name`);
  return applyDecorators(addRequirement(key, wanted), UseGuards(RealtimeAuthGuard));
}

/** Adds to what is there already, inherited or stacked: a second decorator never weakens the first. */
function addRequirement(key: string, wanted: string[]): ClassDecorator & MethodDecorator {
  return (target: object, _property?: string | symbol, descriptor?: PropertyDescriptor) => {
    const subject = (descriptor?.value ?? target) as object;
    const present = (Reflect.getMetadata(key, subject) ?? []) as Requirements;
    Reflect.defineMetadata(key, [...present, wanted] satisfies Requirements, subject);
  };
}
