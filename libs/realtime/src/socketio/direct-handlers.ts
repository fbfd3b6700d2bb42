import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { WsException } from '@nestjs/websockets';
import { WsContextCreator } from '@nestjs/websockets/context/ws-context-creator.js';
import { EMPTY, catchError, isObservable, lastValueFrom, type Observable } from 'rxjs';

// Nest wraps every handler in a chain of async functions: 25 promises for one that has no enhancers at all. While Nest makes
// that chain, this file notes what it makes it of; a handler with neither pipes nor interceptors also gets a direct way,
// which promises nothing unless a guard, a parameter or the handler itself does (decision 0029).
// It relies on how Nest 11 and 12 put handlers together (pinned in test/contract/nest/handler-parts.spec.ts); where that is
// different, and for everything else, Nest's own chain runs.
// Invariant: the same guards, parameters, handler and filters run in the same order with the same arguments.

/** Client, payload, ack and pattern, as Nest hands them to guards, parameters and filters; a guard may change them. */
type HandlerArgs = unknown[];

/** Like Nest's own callback: what the handler returned, or `undefined` after filters took a failure. */
export type DirectHandler = (client: object, data: unknown, ack: unknown) => unknown;

type Callback = (...args: unknown[]) => unknown;
type TaggedCallback = Callback & { [DIRECT]?: DirectHandler };

interface Parameter {
  readonly index: number;
  readonly pipes: readonly unknown[];
  readonly extractValue: (...args: unknown[]) => unknown;
}

interface ExceptionsHandler {
  handle(exception: unknown, host: ExecutionContextHost): void;
}

/** What Nest made one handler of; what has not been seen is undefined. */
interface Parts {
  guards?: readonly CanActivate[];
  pipes?: readonly unknown[];
  parameters?: readonly Parameter[];
  interceptors?: readonly unknown[];
  exceptions?: ExceptionsHandler;
  pattern?: unknown;
}

type TaggedCreate = (this: Creator, instance: object, callback: Callback, ...rest: unknown[]) => TaggedCallback;

interface Creator {
  create: TaggedCreate;
  createPipesFn(pipes: readonly unknown[], parameters: readonly Parameter[]): unknown;
  createGuardsFn(guards: readonly CanActivate[], ...rest: unknown[]): unknown;
  readonly wsProxy: { create(target: Callback, exceptions: ExceptionsHandler, pattern?: unknown): TaggedCallback };
  readonly interceptorsContextCreator: { create(...args: unknown[]): readonly unknown[] };
  [NOTES_PARTS]?: true;
}

const DIRECT = Symbol.for('nestjs-realtime:direct-handler');
const NOTES_PARTS = Symbol.for('nestjs-realtime:notes-handler-parts');
/** Nest's message for a guard's `false`. */
const FORBIDDEN = 'Forbidden resource';
/** The context of singletons. Those of requests are made anew for each message. */
const STATIC_CONTEXT_ID = 1;

/**
 * From now on, handlers that Nest puts together get a direct way if they can have one. Idempotent.
 * @returns undoes it, unless it was done before.
 */
export function makeHandlersDirect(): () => void {
  const creator = WsContextCreator.prototype as unknown as Creator;
  const create = Reflect.get(creator, 'create') as TaggedCreate | undefined;
  if (creator[NOTES_PARTS] || !create) return () => undefined;
  creator.create = function (this: Creator, instance, callback, ...rest) {
    const context = rest[2] as { id?: unknown } | undefined;
    if (context !== undefined && context.id !== STATIC_CONTEXT_ID)
      return create.call(this, instance, callback, ...rest);
    const parts: Parts = {};
    const made = create.call(noting(this, parts), instance, callback, ...rest);
    const direct = directWay(parts, instance, callback);
    if (direct) made[DIRECT] = direct;
    return made;
  };
  creator[NOTES_PARTS] = true;
  return () => {
    creator.create = create;
    delete creator[NOTES_PARTS];
  };
}

/** The direct way of a callback that Nest made; undefined: there is none, or it is bound to a client. */
export function directHandlerOf(callback: Callback): DirectHandler | undefined {
  return (callback as TaggedCallback)[DIRECT];
}

/** The same creator, of which each step that it takes is seen. */
function noting(creator: Creator, parts: Parts): Creator {
  const { wsProxy, interceptorsContextCreator: interceptors } = creator;
  const steps: Partial<Record<keyof Creator, unknown>> = {};
  steps.createPipesFn = function (this: Creator, pipes: readonly unknown[], parameters: readonly Parameter[]): unknown {
    Object.assign(parts, { pipes, parameters });
    return creator.createPipesFn.call(this, pipes, parameters);
  };
  steps.createGuardsFn = function (this: Creator, guards: readonly CanActivate[], ...rest: unknown[]): unknown {
    parts.guards = guards;
    return creator.createGuardsFn.call(this, guards, ...rest);
  };
  if (typeof interceptors?.create === 'function') {
    const create = (...args: unknown[]): unknown => (parts.interceptors = interceptors.create(...args));
    steps.interceptorsContextCreator = Object.assign(Object.create(interceptors) as object, { create });
  }
  if (typeof wsProxy?.create === 'function') {
    const create: Creator['wsProxy']['create'] = (target, exceptions, pattern) => {
      Object.assign(parts, { exceptions, pattern: pattern ?? 'unknown' });
      return wsProxy.create(target, exceptions, pattern);
    };
    steps.wsProxy = Object.assign(Object.create(wsProxy) as object, { create });
  }
  return Object.assign(Object.create(creator) as Creator, steps);
}

function directWay(parts: Parts, instance: object, callback: Callback): DirectHandler | undefined {
  const { guards, pipes, parameters, interceptors, exceptions, pattern } = parts;
  if (!guards || !pipes || !parameters || !interceptors || typeof exceptions?.handle !== 'function') return undefined;
  if (pipes.length > 0 || interceptors.length > 0 || parameters.length === 0) return undefined;
  if (!parameters.every((one) => Array.isArray(one.pipes) && one.pipes.length === 0 && isCallable(one.extractValue)))
    return undefined;
  const fail = (exception: unknown, ...args: unknown[]): undefined =>
    exceptions.handle(exception, hostOf([...args, pattern])) as undefined;
  const run = (args: HandlerArgs): unknown => {
    const values = valuesOf(parameters, args);
    return Array.isArray(values)
      ? callback.apply(instance, values)
      : values.then((all) => callback.apply(instance, all));
  };
  return (client, data, ack) => {
    const args: HandlerArgs = [client, data, ack, pattern];
    const finish = (value: unknown): unknown =>
      isObservable(value) ? value.pipe(catchError((error) => (fail(error, client, data, ack), EMPTY))) : value;
    try {
      const admitted = guards.length === 0 ? undefined : admission(guards, hostOf(args, instance, callback));
      const result = admitted ? admitted.then(() => run(args)) : run(args);
      if (!isThenable(result)) return isObservable(result) ? finish(result) : result;
      return Promise.resolve(result).then(finish, (exception: unknown) => fail(exception, client, data, ack));
    } catch (exception) {
      return fail(exception, client, data, ack);
    }
  };
}

/** A promise if a guard made one. @throws WsException, or whatever a guard throws. */
function admission(guards: readonly CanActivate[], context: ExecutionContext): Promise<void> | undefined {
  for (const [index, guard] of guards.entries()) {
    const verdict = guard.canActivate(context);
    if (typeof verdict !== 'boolean') return lateAdmission(verdict, guards.slice(index + 1), context);
    if (!verdict) throw new WsException(FORBIDDEN);
  }
  return undefined;
}

async function lateAdmission(
  pending: Promise<boolean> | Observable<boolean>,
  rest: readonly CanActivate[],
  context: ExecutionContext,
): Promise<void> {
  const verdict: unknown = await pending;
  if (!(isObservable(verdict) ? await lastValueFrom(verdict) : verdict)) throw new WsException(FORBIDDEN);
  await admission(rest, context);
}

/** A promise if a parameter is one, as custom decorators may make them. */
function valuesOf(parameters: readonly Parameter[], args: HandlerArgs): unknown[] | Promise<unknown[]> {
  const values: unknown[] = [];
  let isPending = false;
  for (const { index, extractValue } of parameters) {
    const value = extractValue(...args);
    while (values.length < index) values.push(undefined);
    values[index] = value;
    isPending ||= isThenable(value);
  }
  return isPending ? Promise.all(values) : values;
}

function hostOf(args: HandlerArgs, instance?: object, callback?: Callback): ExecutionContextHost {
  const gateway = instance?.constructor as ConstructorParameters<typeof ExecutionContextHost>[1];
  const host = new ExecutionContextHost(args, gateway, callback);
  host.setType('ws');
  return host;
}

function isCallable(value: unknown): boolean {
  return typeof value === 'function';
}

/** What `await` would wait for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
