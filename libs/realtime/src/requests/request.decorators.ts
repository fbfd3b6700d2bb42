import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { currentRequest, type RequestInfo } from './request-scope.js';

/**
 * The request that a guard, pipe, interceptor or handler runs for: `{ id, attempt }`. Undefined for messages that are no
 * requests (stock clients, requests that were not marked idempotent) and outside gateways.
 */
export function getRequest(context?: ExecutionContext): RequestInfo | undefined {
  return context === undefined || context.getType() === 'ws' ? currentRequest() : undefined;
}

/** Injects the request's id into a handler, or `undefined`: the key under which its other effects are made once. */
export const RequestId = createParamDecorator((_data: unknown, context: ExecutionContext) => getRequest(context)?.id);
