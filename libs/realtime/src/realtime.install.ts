import type { Server as HttpServer } from 'node:http';
import { createRequire } from 'node:module';
import { Logger } from '@nestjs/common';
import type { ApplicationConfig, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { authWarnings } from './auth/auth-warnings.js';
import { Admission } from './connection/admission.js';
import { isFitForGateways } from './core/enhancers.js';
import { connectionLimit } from './core/file-descriptors.js';
import { printable } from './core/printable.js';
import { clientAddress } from './limits/client-address.js';
import { GatewayGuards } from './limits/gateway-guards.js';
import { decideSend } from './limits/send-buffer-limit.js';
import type { RealtimeRuntime } from './realtime.runtime.js';
import { readPolicyMetadata, type DeclaredPolicy } from './rooms/room-policies.js';
import { createAdapterDeps } from './socketio/create-adapter.js';
import { NO_INTERNALS, type Internals } from './socketio/internals/internals.js';
import { proveAtBoot } from './socketio/internals/boot-proof.js';
import { hasGateways } from './socketio/gateways.js';
import { RealtimeIoAdapter } from './socketio/realtime-io.adapter.js';
import { RefusalLog } from './socketio/refusal-log.js';

/** What the module does with the adapter after it has been installed. */
export interface InstalledAdapter {
  /** Before the app listens. @throws Error if something replaced the adapter, or a policy cannot work. */
  check(): void;
  /** Once, when the app is up: what works but will hurt. */
  warn(): void;
  /** Whether this process serves connections: without a gateway or http server it only publishes. */
  isServing(): boolean;
}

/** Apps that have the module already; Nest does not tell two `forRoot()` of one app apart. */
const installedIn = new WeakSet<ApplicationConfig>();

/**
 * Sets the adapter while providers are created: gateways are bound in `init()`, before any `onModuleInit` runs.
 * Pinned in test/contract/nest.
 */
export async function installAdapter(
  config: ApplicationConfig,
  host: HttpAdapterHost,
  modules: ModulesContainer,
  runtime: RealtimeRuntime,
): Promise<InstalledAdapter> {
  if (installedIn.has(config)) {
    throw new Error(
      'RealtimeModule.forRoot() is imported twice in one app: import it once, in the root module. It is global.',
    );
  }
  installedIn.add(config);
  if (hasAdapter(config)) {
    throw new Error(
      'Another WebSocket adapter is set already: remove app.useWebSocketAdapter(), RealtimeModule brings its own. To change it, pass `adapter: MyAdapter extends RealtimeIoAdapter`.',
    );
  }
  const logger = new Logger('Realtime');
  let hasPolicies = false;
  const loadPolicies = (): void => {
    if (!hasPolicies) runtime.rooms.policies.load(findPolicies(modules));
    hasPolicies = true;
  };
  const { maxSendBufferBytes: maxBytes, maxSendBufferMessages: maxMessages } = runtime.context.options.limits;
  const sendLimit = { maxBytes, maxMessages };
  const internals = await internalsOf(runtime, modules, logger);
  const Adapter = runtime.context.options.adapter ?? RealtimeIoAdapter;
  const adapter = new Adapter(
    createAdapterDeps({
      ...{
        modules,
        clock: runtime.context.clock,
        metrics: runtime.context.metrics,
        flow: runtime.connections.flow,
        flood: runtime.connections.flood,
        requests: runtime.connections.requests,
        runner: runtime.connections.runner,
      },
      ...{ admission: createAdmission(runtime, logger), sockets: runtime.sockets, server: serverOptions(runtime) },
      maxConnections: connectionLimit(),
      maxNamespaces: runtime.context.options.limits.namespacesPerTransport,
      maxChildren: runtime.context.options.limits.dynamicNamespaces,
      hold: () => runtime.cluster.catchingUp,
      decideSend: (buffer, bytes) => decideSend(buffer, bytes, sendLimit),
      handlerTimeoutMs: runtime.context.options.handlerTimeoutMs,
      maxRecordBytes: runtime.context.options.requests.maxRecordBytes,
      httpServer: () => host.httpAdapter?.getHttpServer() as HttpServer | undefined,
      servesRequestScope: nestMajor() >= 12,
      internals,
      gatewayGuard: nestMajor() < 12 ? new GatewayGuards(config) : undefined,
      onFirstServer: () => {
        loadPolicies();
        runtime.serve();
      },
      clusterAdapter: () => runtime.context.engine.socketIoAdapter,
      report: (error, where) => runtime.context.report(error, where),
      warn: (line) => logger.warn(line),
    }),
  );
  config.setIoAdapter(adapter);
  return {
    check: () => {
      if (config.getIoAdapter() !== adapter) {
        throw new Error(
          'Something replaced the WebSocket adapter of RealtimeModule: remove app.useWebSocketAdapter() from main.ts. To change it, pass `adapter: MyAdapter extends RealtimeIoAdapter`.',
        );
      }
      loadPolicies();
    },
    warn: () => warnAtBoot(config, runtime, logger),
    isServing: () => runtime.isServer,
  };
}

/** `getIoAdapter()` makes one up when none was set. */
function hasAdapter(config: ApplicationConfig): boolean {
  return Boolean((config as unknown as { ioAdapter?: unknown }).ioAdapter);
}

/** All providers with `@RoomPolicy`; their instances exist when the first gateway is bound, and at the latest in `onModuleInit`. */
function findPolicies(modules: ModulesContainer): DeclaredPolicy[] {
  const found = new Map<object, DeclaredPolicy>();
  for (const [, module] of modules) {
    for (const [, wrapper] of module.providers) {
      const { metatype, instance } = wrapper as { metatype: unknown; instance: object | undefined };
      const metadata = typeof metatype === 'function' && instance ? readPolicyMetadata(metatype) : undefined;
      if (metadata && instance)
        found.set(instance, { ...metadata, name: (metatype as { name: string }).name, policy: instance });
    }
  }
  return [...found.values()];
}

function createAdmission(runtime: RealtimeRuntime, logger: Logger): Admission {
  const { options, metrics, clock } = runtime.context;
  const refusals = new RefusalLog(clock, (line) => logger.warn(line));
  return new Admission({
    ...{ origins: options.origins, metrics, limits: runtime.connections.transportLimits },
    silent: runtime.connections.silent,
    cookie: options.auth.cookie,
    trustsProxy: options.trustProxy !== false && options.trustProxy !== 0,
    address: clientAddress(options.trustProxy),
    isDraining: () => runtime.isDraining,
    onOriginRefused: (origin, reason) =>
      refusals.say('403', origin, `as an origin: ${printable(reason)} (option 'origins')`),
    onSilenceRefused: (address) => {
      metrics.throttled('silentTransportsPerIp');
      refusals.say(
        '429',
        address,
        'as a connection: too many of its address say nothing (limits.silentTransportsPerIp; if it is a proxy: trustProxy)',
      );
    },
    onSessionRefused: ({ code, message }) => refusals.say(code, 'sid', `as a session: ${message}`),
  });
}

/** A process without gateways uses none of them, and need not try them. */
async function internalsOf(
  { context: { options } }: RealtimeRuntime,
  modules: ModulesContainer,
  logger: Logger,
): Promise<Internals> {
  const { coalesceWrites, compression } = options;
  if (!hasGateways(modules)) return NO_INTERNALS;
  return proveAtBoot({ coalesceWrites, compression }, (line) => logger.warn(line));
}

function serverOptions({ context: { options } }: RealtimeRuntime) {
  return {
    ...{
      path: options.path,
      transports: options.transports,
      connectTimeoutMs: options.connectTimeoutMs,
      compression: options.compression,
      socketio: options.socketio,
    },
    ...{ pingIntervalMs: options.heartbeat.intervalMs, pingTimeoutMs: options.heartbeat.timeoutMs },
    maxPayloadBytes: options.limits.maxPayloadBytes,
    corsOrigins: Array.isArray(options.origins) ? (options.origins as string[]) : options.origins !== undefined,
  };
}

function warnAtBoot(config: ApplicationConfig, runtime: RealtimeRuntime, logger: Logger): void {
  if (runtime.isServer && nestMajor() >= 12) for (const line of unfitEnhancers(config)) logger.warn(line);
  if (runtime.isServer && process.listenerCount('SIGTERM') === 0) {
    logger.warn(
      'Nobody listens to SIGTERM: call app.enableShutdownHooks(), or every deploy cuts connections without warning.',
    );
  }
  for (const line of authWarnings(runtime.context.options.auth)) logger.warn(line);
  for (const [namespace, check] of Object.entries(runtime.context.options.auth.namespaces)) {
    if (check === false)
      logger.warn(
        `auth.namespaces: '${namespace}' is left to the app: nobody is authenticated there by RealtimeModule.`,
      );
  }
}

/** Global guards, interceptors and pipes that nobody has said to understand gateways: on Nest 12 they run on messages, too. */
function unfitEnhancers(config: ApplicationConfig): string[] {
  const scoped = [...config.getGlobalRequestGuards(), ...config.getGlobalRequestInterceptors()];
  const enhancers: object[] = [
    ...[...config.getGlobalGuards(), ...config.getGlobalInterceptors()],
    ...scoped.map(({ metatype }) => (typeof metatype === 'function' ? (metatype.prototype as object) : {})),
    ...config.getGlobalPipes().filter((pipe) => !FIT_PIPES.has(pipe.constructor.name)),
  ];
  return enhancers
    .filter((enhancer) => !isFitForGateways(enhancer))
    .map(
      ({ constructor: { name } }) =>
        `The global ${name} runs on gateway messages, too. If it knows HTTP alone, wrap it: httpOnly(${name}).`,
    );
}

/** Nest's own pipes look at values, not at requests. */
const FIT_PIPES = new Set(['ValidationPipe', 'ParseIntPipe', 'ParseUUIDPipe', 'DefaultValuePipe']);

/** Major version of the Nest that runs. */
export function nestMajor(): number {
  const { version } = createRequire(import.meta.url)('@nestjs/core/package.json') as { version: string };
  return Number.parseInt(version, 10);
}
