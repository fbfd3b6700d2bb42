import {
  ConfigurableModuleBuilder,
  Inject,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { RealtimeAuthGuard } from './auth/realtime-auth.guard.js';
import { RealtimeService } from './connection/realtime.service.js';
import { REALTIME_CLOCK, systemClock, type Clock } from './core/clock.js';
import { HEALTH_SOURCE } from './core/health-source.js';
import { REALTIME_METRICS, noMetrics, type RealtimeMetrics } from './core/metrics.js';
import { summarize } from './core/metrics-summary.js';
import { SOCKET_SERVERS } from './core/socket-servers.js';
import { checkWorkerGroup } from './core/worker-group.js';
import { RATE_STORE } from './limits/rate-store.js';
import { NodePresence } from './presence/node-presence.js';
import { PRESENCE_STORE } from './presence/presence-store.js';
import { PresenceService } from './presence/presence.service.js';
import { createEngine } from './realtime.engine.js';
import { createHealthSource } from './realtime.health-source.js';
import { installAdapter, type InstalledAdapter } from './realtime.install.js';
import { resolveRealtimeOptions, type RealtimeOptions } from './realtime.options.js';
import { RealtimeRuntime } from './realtime.runtime.js';
import { REDIS_ADAPTER } from './core/redis-adapter-token.js';
import { RoomManager } from './rooms/room-manager.js';

/** The module's options as the app gave them; override it in tests. */
export const REALTIME_OPTIONS = Symbol.for('nestjs-realtime:OPTIONS');
const INSTALLED = Symbol.for('nestjs-realtime:INSTALLED');

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<RealtimeOptions>({
  optionsInjectionToken: REALTIME_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
  .build();

/**
 * Makes a Nest app a realtime server: import it once, write gateways as always. It installs its WebSocket adapter by itself,
 * before any gateway is bound. Boot fails, saying what to do, on every misuse that would weaken a promise.
 */
@Module({
  providers: [
    { provide: REALTIME_CLOCK, useValue: systemClock },
    {
      provide: RealtimeRuntime,
      inject: [REALTIME_OPTIONS, REALTIME_CLOCK, { token: REALTIME_METRICS, optional: true }],
      useFactory: async (
        options: RealtimeOptions,
        clock: Clock,
        metrics: RealtimeMetrics = noMetrics,
      ): Promise<RealtimeRuntime> => {
        const resolved = resolveRealtimeOptions(options);
        checkWorkerGroup(resolved);
        const deps = { clock, metrics: summarize(metrics) };
        const runtime = await RealtimeRuntime.create({
          ...deps,
          options: resolved,
          engine: await createEngine(resolved, deps),
        });
        try {
          await runtime.connect();
        } catch (error) {
          await runtime.close();
          throw error;
        }
        return runtime;
      },
    },
    {
      provide: INSTALLED,
      inject: [ApplicationConfig, HttpAdapterHost, ModulesContainer, RealtimeRuntime],
      // Nest gives nobody an app to close when a factory throws: what was connected has to end here.
      useFactory: async (
        ...[config, host, modules, runtime]: Parameters<typeof installAdapter>
      ): Promise<InstalledAdapter> => {
        try {
          return await installAdapter(config, host, modules, runtime);
        } catch (error) {
          await runtime.close();
          throw error;
        }
      },
    },
    {
      provide: RoomManager,
      inject: [RealtimeRuntime],
      useFactory: (runtime: RealtimeRuntime) => runtime.rooms.manager,
    },
    { provide: RealtimeService, inject: [RealtimeRuntime], useFactory: (runtime: RealtimeRuntime) => runtime.service },
    {
      provide: NodePresence,
      inject: [RealtimeRuntime],
      useFactory: (runtime: RealtimeRuntime) => runtime.cluster.presence,
    },
    {
      provide: PRESENCE_STORE,
      inject: [RealtimeRuntime],
      useFactory: (runtime: RealtimeRuntime) => runtime.context.engine.presence,
    },
    {
      provide: PresenceService,
      inject: [RealtimeRuntime],
      useFactory: ({ context, cluster }: RealtimeRuntime) =>
        new PresenceService(context.engine.presence, cluster.presence, cluster.transitions),
    },
    {
      provide: RATE_STORE,
      inject: [RealtimeRuntime],
      useFactory: (runtime: RealtimeRuntime) => runtime.context.engine.rates,
    },
    {
      provide: REDIS_ADAPTER,
      inject: [RealtimeRuntime],
      useFactory: (runtime: RealtimeRuntime) => runtime.context.engine.socketIoAdapter,
    },
    {
      provide: SOCKET_SERVERS,
      inject: [RealtimeRuntime],
      useFactory: (runtime: RealtimeRuntime) => () => runtime.sockets.servers,
    },
    { provide: HEALTH_SOURCE, inject: [RealtimeRuntime], useFactory: createHealthSource },
    RealtimeAuthGuard,
  ],
  exports: [
    ...[RoomManager, RealtimeService, PresenceService, RealtimeAuthGuard],
    ...[REDIS_ADAPTER, SOCKET_SERVERS, RATE_STORE, HEALTH_SOURCE],
  ],
})
export class RealtimeModule
  extends ConfigurableModuleClass
  implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  constructor(
    @Inject(INSTALLED) private readonly installed: InstalledAdapter,
    private readonly runtime: RealtimeRuntime,
  ) {
    super();
  }

  onModuleInit(): void {
    this.installed.check();
  }

  async onApplicationBootstrap(): Promise<void> {
    this.installed.warn();
    if (this.installed.isServing()) await this.runtime.start();
  }

  beforeApplicationShutdown(): void {
    this.runtime.isDraining = true;
  }

  /** Sockets are closed by now; Redis goes last. */
  async onApplicationShutdown(): Promise<void> {
    await this.runtime.close();
  }
}
