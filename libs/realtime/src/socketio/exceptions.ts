import { REALTIME_CODES, isErrorAck, type RealtimeCode, type WireError } from 'nestjs-realtime-protocol';
import { WsException } from '@nestjs/websockets';
import { RealtimeError } from '../core/realtime-error.js';

/** What the client is told, and whether the server has to look into it. */
export interface MappedException {
  readonly wire: WireError;
  /** A bug: nobody meant to throw it, so it is logged with its stack and reported. */
  readonly isUnexpected: boolean;
}

/** What Nest throws for a guard's `false`: `WsException(FORBIDDEN_MESSAGE)`. */
const NEST_FORBIDDEN = 'Forbidden resource';

const HTTP_CODES: Readonly<Record<number, RealtimeCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  408: 'TIMEOUT',
  409: 'CONFLICT',
  413: 'LIMIT_EXCEEDED',
  422: 'BAD_REQUEST',
  429: 'RATE_LIMITED',
  503: 'UNAVAILABLE',
  504: 'TIMEOUT',
};

/**
 * Maps whatever a handler, guard, pipe or interceptor threw. Classes are not recognised by identity alone: an app may hold
 * another copy of Nest. 4xx and `WsException` messages reach the client, 5xx and unknown ones never.
 */
export function mapException(exception: unknown): MappedException {
  if (exception instanceof RealtimeError) return { wire: exception.toWire(), isUnexpected: false };
  if (hasMethod(exception, 'getStatus') && hasMethod(exception, 'getResponse')) return mapHttp(exception);
  if (isWsException(exception)) return { wire: mapWs(exception.getError()), isUnexpected: false };
  return { wire: wireOf('INTERNAL'), isUnexpected: true };
}

export function wireOf(code: RealtimeCode, message?: string): WireError {
  return { code, message: message ?? REALTIME_CODES[code].message, retryable: REALTIME_CODES[code].retryable };
}

function mapHttp(exception: { getStatus: () => unknown; getResponse: () => unknown }): MappedException {
  const status = Number(exception.getStatus());
  const code = HTTP_CODES[status] ?? (status >= 400 && status < 500 ? 'BAD_REQUEST' : 'INTERNAL');
  if (status >= 500) return { wire: wireOf(code), isUnexpected: code === 'INTERNAL' };
  const response = exception.getResponse();
  const message =
    typeof response === 'object' && response !== null ? (response as { message?: unknown }).message : response;
  const wire = wireOf(code);
  if (typeof message === 'string') return { wire: { ...wire, message }, isUnexpected: false };
  if (Array.isArray(message)) return { wire: { ...wire, details: message }, isUnexpected: false };
  return { wire, isUnexpected: false };
}

function mapWs(error: unknown): WireError {
  if (error === NEST_FORBIDDEN) return wireOf('FORBIDDEN');
  if (typeof error === 'string') return wireOf('BAD_REQUEST', error);
  if (typeof error !== 'object' || error === null) return wireOf('BAD_REQUEST');
  if (isErrorAck({ error })) {
    const { code, message, retryable, retryAfterMs, details } = error as Partial<WireError> & { code: string };
    return new RealtimeError(code, typeof message === 'string' ? message : undefined, {
      retryable,
      retryAfterMs,
      details,
    }).toWire();
  }
  const { message } = error as { message?: unknown };
  return wireOf('BAD_REQUEST', typeof message === 'string' ? message : undefined);
}

/** `getError` alone says nothing: Nest's `RpcException` has it, too, and holds the words of another service. */
function isWsException(value: unknown): value is Record<'getError', () => unknown> {
  if (value instanceof WsException) return true;
  if (!hasMethod(value, 'getError')) return false;
  for (let type: unknown = value.constructor; typeof type === 'function'; type = Object.getPrototypeOf(type))
    if (type.name === 'WsException') return true;
  return false;
}

function hasMethod<Name extends string>(value: unknown, name: Name): value is Record<Name, () => unknown> {
  return typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[name] === 'function';
}
