import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { BaseWsExceptionFilter } from '@nestjs/websockets';
import { WsExceptionsHandler } from '@nestjs/websockets/exceptions/ws-exceptions-handler.js';
import { Message } from './message.js';
import { sessionOf } from './session-of.js';

const EXCEPTION_FILTERS = '__exceptionFilters__';
const WATCHED = Symbol.for('nestjs-realtime:watches-failures');

/**
 * Answers what no filter of the app wants. Prepended to a gateway's filters it has the lowest priority, so the app's own
 * `@UseFilters` win. One stateless instance for all apps of the process; clients of other adapters get Nest's default.
 */
@Catch()
class AnswerFilter implements ExceptionFilter {
  private readonly fallback = new BaseWsExceptionFilter();

  catch(exception: unknown, host: ArgumentsHost): void {
    const session = sessionOf(host.switchToWs().getClient<object>());
    if (!session) return this.fallback.catch(exception, host);
    session.fail(Message.find(host.getArgs<unknown[]>()), exception);
  }
}

const answerFilter = new AnswerFilter();

/** Makes every gateway answer its errors, whether or not the app has filters. Idempotent. */
export function answerFailuresOf(gateway: object): void {
  const filters = (Reflect.getMetadata(EXCEPTION_FILTERS, gateway) as unknown[] | undefined) ?? [];
  if (!filters.includes(answerFilter)) Reflect.defineMetadata(EXCEPTION_FILTERS, [answerFilter, ...filters], gateway);
}

/**
 * Nest resolves a handler to `undefined` after a user's filter ran, which looks like success. All failures pass
 * `WsExceptionsHandler.handle` first (pinned in test/contract/nest), so the message learns there that it failed.
 */
export function watchFailures(): void {
  const handler = WsExceptionsHandler.prototype as WsExceptionsHandler & { [WATCHED]?: true };
  if (handler[WATCHED]) return;
  const handle = Reflect.get(handler, 'handle') as (this: WsExceptionsHandler, ...args: unknown[]) => void;
  handler.handle = function (this: WsExceptionsHandler, exception: Error, host: ArgumentsHost) {
    const message = Message.find(host.getArgs<unknown[]>());
    if (message) message.failure ??= { exception };
    return handle.call(this, exception, host);
  };
  handler[WATCHED] = true;
}
