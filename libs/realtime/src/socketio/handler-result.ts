import { isErrorAck } from 'nestjs-realtime-protocol';
import { isObservable, type Observable } from 'rxjs';
import type { RealtimeMetrics } from '../core/metrics.js';
import { mapException } from './exceptions.js';
import type { Message } from './message.js';
import type { Session } from './session.js';

export interface Handling {
  readonly session: Session;
  readonly message: Message;
  /** The handler took the ack itself (`@Ack()`): its return value is not an answer. */
  readonly isManual: boolean;
  readonly metrics: RealtimeMetrics;
}

/** Turns what Nest resolved to into the one answer. `undefined` is success only if nothing failed on the way. */
export function settle(handling: Handling, result: unknown): void {
  if (isObservable(result)) return settleStream(handling, result);
  const { message, isManual } = handling;
  if (message.failure) return refuseFailed(handling, message.failure.exception);
  if (isWsResponse(result)) {
    handling.session.emit(result.event, result.data);
    if (!isManual) message.answer(null);
    return;
  }
  if (!isManual) answerWith(handling, result);
}

/** The callback itself rejected: a filter threw. Nobody has answered, whether or not an ack is waited for. */
export function settleRejected(handling: Handling, exception: unknown): void {
  const { session, message, metrics } = handling;
  metrics.errorAck(mapException(exception).wire.code);
  session.fail(message, exception);
}

/** The first plain value, the error or the end acks; responses are emitted as they come; unsubscribed on disconnect. */
function settleStream(handling: Handling, stream: Observable<unknown>): void {
  const { session, message, isManual } = handling;
  const subscription = stream.subscribe({
    next: (value) => guarded(handling, () => settleNext(handling, value)),
    error: (exception: unknown) => settleRejected(handling, exception),
    complete: () =>
      guarded(handling, () => {
        if (message.failure) refuseFailed(handling, message.failure.exception);
        else if (!isManual) message.answer(null);
      }),
  });
  if (subscription.closed) return;
  const streams = (session.streams ??= new Set());
  streams.add(subscription);
  subscription.add(() => {
    streams.delete(subscription);
    if (message.expectsAnswer && !isManual) message.onAbandoned?.();
  });
  // The connection ended while the handler ran: nobody is left to end the stream.
  if (session.isEnded) subscription.unsubscribe();
}

/** RxJS throws what a subscriber throws where nobody can catch it: a value that cannot be encoded would end the process. */
function guarded(handling: Handling, task: () => void): void {
  try {
    task();
  } catch (exception) {
    settleRejected(handling, exception);
  }
}

function settleNext(handling: Handling, value: unknown): void {
  const { session, message, isManual } = handling;
  if (isWsResponse(value)) {
    session.emit(value.event, value.data);
    if (!isManual) message.answer(null);
  } else if (value !== undefined && value !== null && !isManual) answerWith(handling, value);
}

/** A filter of the app has seen the exception: it may have acked; if not, the ack is the error. It has logged what it wanted. */
function refuseFailed({ message, metrics }: Handling, exception: unknown): void {
  if (!message.expectsAnswer) return;
  const { wire } = mapException(exception);
  metrics.errorAck(wire.code);
  message.refuse(wire);
}

function answerWith(handling: Handling, value: unknown): void {
  if (isErrorAck(value)) {
    return settleRejected(
      handling,
      new TypeError(
        `The handler of '${handling.message.event}' returned { error: { code } }: throw a RealtimeError instead`,
      ),
    );
  }
  handling.message.answer(value);
}

/** Nest's `WsResponse`: a string `event` and no key but `data`. A domain object that has more keys is an answer. */
function isWsResponse(value: unknown): value is { event: string; data?: unknown } {
  if (typeof value !== 'object' || value === null) return false;
  if (typeof (value as { event?: unknown }).event !== 'string') return false;
  return Object.keys(value).every((key) => key === 'event' || key === 'data');
}
