import { isDeepStrictEqual } from 'node:util';
import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { NamespaceGateways } from './namespace-gateways.js';
import { answerFailuresOf } from './nest-failures.js';
import { sessionOf } from './session-of.js';
import type { Session } from './session.js';

/** Nest's metadata keys; pinned in test/contract/nest. */
const IS_GATEWAY = 'websockets:is_gateway';
const GATEWAY_OPTIONS = 'websockets:gateway_options';
const MESSAGE = 'message';
const GUARDS = '__guards__';

interface GatewayWrapper {
  readonly metatype: Type;
  readonly instance: Partial<GatewayHooks> | undefined;
  readonly isStatic: boolean;
  readonly moduleName: string;
}

interface GatewayHooks {
  handleConnection: (...args: unknown[]) => unknown;
  handleDisconnect: (...args: unknown[]) => unknown;
}

/** Options of a gateway's decorator that are about the gateway; all others are about the server, and the module's. */
const GATEWAY_ONLY = new Set(['namespace', 'path']);

/** The app's gateways, found in its modules: checked at boot, and taught to answer failures instead of ending the process. */
export class Gateways {
  /** Known once instances exist, when the first server is created; from then on it does not change. */
  private bound: readonly GatewayWrapper[] | undefined;
  /** Who serves which namespace; known at the same time. */
  namespaces = new NamespaceGateways([]);

  constructor(
    private readonly modules: ModulesContainer,
    /** Nest 12 makes an instance for each event, Nest 11 none at all. */
    private readonly servesRequestScope: boolean,
    private readonly onError: (exception: unknown, session: Session | undefined, event: string) => void,
  ) {}

  /** Everything that cannot work, in words that say what to do. Call before gateways are bound. */
  problems(serverOptions: Readonly<Record<string, unknown>>): string[] {
    const seen = new Map<Type, string>();
    return findGateways(this.modules).flatMap(({ metatype, moduleName }) => {
      const problems = checkOptions(metatype, serverOptions);
      const other = seen.get(metatype);
      if (other !== undefined) {
        const where =
          other === moduleName ? `a provider of ${other} twice` : `a provider of ${other} and of ${moduleName}`;
        problems.push(
          `${metatype.name} is ${where}: every message would be handled twice. Keep it in one module, under one token, and export it.`,
        );
      }
      seen.set(metatype, moduleName);
      return problems;
    });
  }

  /** The guard runs before the gateways' own. Call before gateways are bound. */
  prependGuard(guard: object): void {
    for (const { metatype } of findGateways(this.modules)) {
      const guards = (Reflect.getMetadata(GUARDS, metatype) as unknown[] | undefined) ?? [];
      Reflect.defineMetadata(GUARDS, [guard, ...guards], metatype);
    }
  }

  answerFailures(): void {
    for (const { metatype } of findGateways(this.modules)) answerFailuresOf(metatype);
  }

  /** Wraps the life-cycle hooks of all gateways, once; instances exist when the first server is created, before Nest binds them. */
  wrapHooks(): void {
    if (this.bound) return;
    this.bound = findGateways(this.modules);
    this.namespaces = new NamespaceGateways(this.bound.map(({ metatype }) => metatype));
    for (const { metatype, instance, isStatic } of this.bound) {
      if (!isStatic && !this.servesRequestScope) {
        throw new Error(
          `${metatype.name} is request-scoped, or something that it injects is: Nest 11 cannot run such gateways. Make it a singleton and inject per message, or use Nest 12.`,
        );
      }
      // A request-scoped gateway has a new instance for each event, so its hooks are wrapped on the prototype.
      const target = (isStatic ? instance : (metatype.prototype as object)) as Partial<GatewayHooks> | undefined;
      if (target) this.wrap(target);
    }
  }

  private wrap(target: Partial<GatewayHooks>): void {
    const { handleConnection, handleDisconnect } = target;
    const report = this.onError;
    if (handleConnection && !isWrapped(handleConnection)) {
      target.handleConnection = markWrapped(async function (this: unknown, client: unknown, ...rest: unknown[]) {
        const session = sessionOf<Session>(client as object);
        const run = (): unknown => handleConnection.call(this, client, ...rest);
        if (session) await session.open(run);
        else await run();
      });
    }
    if (handleDisconnect && !isWrapped(handleDisconnect)) {
      target.handleDisconnect = markWrapped(async function (this: unknown, client: unknown, ...rest: unknown[]) {
        try {
          await handleDisconnect.call(this, client, ...rest);
        } catch (exception) {
          report(exception, sessionOf<Session>(client as object), 'handleDisconnect');
        }
      });
    }
  }
}

/** Whether the app has any. */
export function hasGateways(modules: ModulesContainer): boolean {
  return findGateways(modules).length > 0;
}

function findGateways(modules: ModulesContainer): GatewayWrapper[] {
  const found: GatewayWrapper[] = [];
  for (const [, module] of modules) {
    for (const [, wrapper] of module.providers) {
      const { metatype } = wrapper;
      if (typeof metatype !== 'function' || wrapper.isNotMetatype || Reflect.getMetadata(IS_GATEWAY, metatype) !== true)
        continue;
      found.push({
        metatype: metatype as Type,
        instance: wrapper.instance as Partial<GatewayHooks> | undefined,
        isStatic: wrapper.isDependencyTreeStatic(),
        moduleName: module.name,
      });
    }
  }
  return found;
}

function checkOptions(gateway: Type, serverOptions: Readonly<Record<string, unknown>>): string[] {
  const options = (Reflect.getMetadata(GATEWAY_OPTIONS, gateway) ?? {}) as Record<string, unknown>;
  const different = Object.keys(options).filter(
    (key) =>
      !GATEWAY_ONLY.has(key) &&
      options[key] !== undefined &&
      // Functions by identity: `allowRequest` may be a door that the app has closed.
      !isDeepStrictEqual(options[key], serverOptions[key]),
  );
  const problems = different.map(
    (key) =>
      `@WebSocketGateway({ ${key} }) on ${gateway.name}: server options are the module's. Remove it there and ${advice(key)}.`,
  );
  for (const name of Object.getOwnPropertyNames(gateway.prototype)) {
    const event: unknown = eventOf(gateway, name);
    if (typeof event === 'string' && event.startsWith('realtime:')) {
      problems.push(
        `@SubscribeMessage('${event}') on ${gateway.name}: names that start with 'realtime:' are the library's. Rename the event.`,
      );
    }
  }
  return problems;
}

function eventOf(gateway: Type, method: string): unknown {
  const value: unknown = Object.getOwnPropertyDescriptor(gateway.prototype, method)?.value;
  return typeof value === 'function' ? Reflect.getMetadata(MESSAGE, value) : undefined;
}

/** Where an option of Socket.IO is set instead; any other one belongs to `socketio`. */
const INSTEAD: Readonly<Record<string, string>> = {
  cors: "set 'origins' in RealtimeModule",
  transports: "set 'transports' in RealtimeModule",
  maxHttpBufferSize: "set 'limits.maxPayloadBytes' in RealtimeModule",
  pingInterval: "set 'heartbeat' in RealtimeModule",
  pingTimeout: "set 'heartbeat' in RealtimeModule",
  connectTimeout: "set 'connectTimeoutMs' in RealtimeModule",
  allowRequest: "decide in 'origins' or 'auth.verify' of RealtimeModule",
  adapter: "set 'redis' and 'redis.adapter' in RealtimeModule",
  wsEngine: 'leave it out: the library brings its own',
  parser: 'leave it out: the library brings its own',
  destroyUpgrade: 'leave it out: upgrades outside the path are left alone',
  cleanupEmptyChildNamespaces: "leave it out: a pattern's namespace ends by itself after its last connection",
  connectionStateRecovery: "leave it out: rooms with 'history' recover after authentication",
};

function advice(key: string): string {
  return INSTEAD[key] ?? `set 'socketio.${key}' in RealtimeModule`;
}

const WRAPPED = Symbol('nestjs-realtime:wrapped');

function markWrapped<Hook extends object>(hook: Hook): Hook {
  return Object.assign(hook, { [WRAPPED]: true });
}

function isWrapped(hook: object): boolean {
  return WRAPPED in hook;
}
