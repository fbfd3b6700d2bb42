import { HttpException, BadRequestException, NotFoundException, ServiceUnavailableException } from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import { RealtimeError } from '../core/realtime-error.js';
import { mapException } from './exceptions.js';

const SECRET = 'password=hunter2';

/** As Nest's of `@nestjs/microservices`: has `getError`, as a `WsException` has. */
class RpcException extends Error {
  getError(): string {
    return this.message;
  }
}

/** Of another copy of Nest. */
const OtherWsException = { WsException: class WsException extends RpcException {} }.WsException;

describe('what a client is told of an exception', () => {
  it.each<[string, unknown, object, boolean]>([
    [
      'our own error',
      new RealtimeError('CONFLICT', 'taken', { details: { by: 'bob' } }),
      { code: 'CONFLICT', message: 'taken', retryable: false, details: { by: 'bob' } },
      false,
    ],
    [
      'an app code',
      new RealtimeError('OUT_OF_STOCK', 'none left'),
      { code: 'OUT_OF_STOCK', message: 'none left', retryable: false },
      false,
    ],
    ['a WsException text', new WsException('no'), { code: 'BAD_REQUEST', message: 'no', retryable: false }, false],
    [
      'a WsException code',
      new WsException({ code: 'QUOTA', message: 'full', retryable: true }),
      { code: 'QUOTA', message: 'full', retryable: true },
      false,
    ],
    [
      'a WsException object',
      new WsException({ message: 'odd', secret: 1 }),
      { code: 'BAD_REQUEST', message: 'odd', retryable: false },
      false,
    ],
    [
      'an exception of another service',
      new RpcException(SECRET),
      { code: 'INTERNAL', message: expect.any(String), retryable: true },
      true,
    ],
    [
      "another copy's WsException, extended",
      new (class NoSeats extends OtherWsException {})('no seats'),
      { code: 'BAD_REQUEST', message: 'no seats', retryable: false },
      false,
    ],
    [
      "a guard's false",
      new WsException('Forbidden resource'),
      { code: 'FORBIDDEN', message: 'Not allowed', retryable: false },
      false,
    ],
    [
      'validation',
      new BadRequestException(['text must be a string']),
      {
        code: 'BAD_REQUEST',
        message: 'The request is malformed',
        retryable: false,
        details: ['text must be a string'],
      },
      false,
    ],
    [
      '404',
      new NotFoundException('no such chat'),
      { code: 'NOT_FOUND', message: 'no such chat', retryable: false },
      false,
    ],
    ['409', new HttpException('taken', 409), { code: 'CONFLICT', message: 'taken', retryable: false }, false],
    ['413', new HttpException('big', 413), { code: 'LIMIT_EXCEEDED', message: 'big', retryable: false }, false],
    ['418', new HttpException('teapot', 418), { code: 'BAD_REQUEST', message: 'teapot', retryable: false }, false],
    [
      '429',
      new HttpException('slow down', 429),
      { code: 'RATE_LIMITED', message: 'slow down', retryable: true },
      false,
    ],
    [
      '503',
      new ServiceUnavailableException(SECRET),
      { code: 'UNAVAILABLE', message: 'Temporarily unavailable', retryable: true },
      false,
    ],
    [
      '504',
      new HttpException(SECRET, 504),
      { code: 'TIMEOUT', message: 'The deadline passed', retryable: true },
      false,
    ],
    ['500', new HttpException(SECRET, 500), { code: 'INTERNAL', message: 'Internal error', retryable: true }, true],
    ['a bug', new TypeError(SECRET), { code: 'INTERNAL', message: 'Internal error', retryable: true }, true],
    ['a thrown text', SECRET, { code: 'INTERNAL', message: 'Internal error', retryable: true }, true],
    ['nothing at all', undefined, { code: 'INTERNAL', message: 'Internal error', retryable: true }, true],
  ])('%s', (_name, exception, wire, isUnexpected) => {
    expect(mapException(exception)).toEqual({ wire, isUnexpected });
  });
});
