import type { CanActivate, ExecutionContext, NestInterceptor, PipeTransform, Type } from '@nestjs/common';
import { HTTP_ONLY } from '../core/enhancers.js';
import { gatewayScope } from '../core/gateway-scope.js';

/**
 * Wraps a guard, an interceptor or a pipe that was written for HTTP, so that it can stay global: on gateway messages (and
 * microservice messages) a guard lets pass, an interceptor hands over, a pipe returns its value as it is. HTTP and GraphQL
 * are unchanged. The result is a class with the same dependencies: `{ provide: APP_GUARD, useClass: httpOnly(JwtGuard) }`.
 *
 * Never wrap the guard that protects your gateways: it would let everybody pass there.
 */
export function httpOnly<T extends object>(enhancer: Type<T>): Type<T> {
  const Base = enhancer as Type<Partial<CanActivate & NestInterceptor & PipeTransform>>;
  // A pipe is not told in which context it runs.
  if (typeof (enhancer.prototype as Partial<PipeTransform>).transform === 'function') gatewayScope.enable();
  class HttpOnly extends Base {
    // Nest passes what the metadata of `Base` asks for.
    constructor(...dependencies: unknown[]) {
      super(...dependencies);
      wrapMethods(this);
    }
  }
  Object.defineProperty(HttpOnly, 'name', { value: `HttpOnly(${enhancer.name})` });
  Object.defineProperty(HttpOnly.prototype, HTTP_ONLY, { value: true });
  return HttpOnly as unknown as Type<T>;
}

/** On the instance, because a method may be a property that the constructor assigns. */
function wrapMethods(enhancer: Partial<CanActivate & NestInterceptor & PipeTransform>): void {
  const canActivate = enhancer.canActivate?.bind(enhancer);
  const intercept = enhancer.intercept?.bind(enhancer);
  const transform = enhancer.transform?.bind(enhancer);
  if (canActivate) enhancer.canActivate = (context) => isMessage(context) || canActivate(context);
  if (intercept)
    enhancer.intercept = (context, next) => (isMessage(context) ? next.handle() : intercept(context, next));
  if (transform)
    enhancer.transform = (value: unknown, metadata) =>
      gatewayScope.isInside() ? value : (transform(value, metadata) as unknown);
}

function isMessage(context: ExecutionContext): boolean {
  const type = context.getType();
  return type === 'ws' || type === 'rpc';
}
