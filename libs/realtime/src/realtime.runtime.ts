import type { Authenticator } from './auth/authenticator.js';
import { createAuthenticator } from './auth/create-authenticator.js';
import { Revocations } from './auth/revocations.js';
import { ClusterCommands } from './connection/cluster-commands.js';
import { Drain } from './connection/drain.js';
import { RealtimeService } from './connection/realtime.service.js';
import type { Cancel } from './core/clock.js';
import { EventLoopLag } from './core/event-loop-lag.js';
import { formatSummary } from './core/metrics-summary.js';
import { ClusterParts } from './realtime.cluster.js';
import { ConnectionParts } from './realtime.connections.js';
import { NodeContext, type ContextInit } from './realtime.context.js';
import { RoomParts } from './realtime.rooms.js';
import { SocketIoLocalSockets } from './socketio/local-socket-broadcast.js';

/** Revocations that can hit no token any more are forgotten this often, in milliseconds. */
const PRUNE_MS = 60_000;
/** Hosted rooms are compared with the store this often, in milliseconds (as Centrifugo does). */
const POSITION_CHECK_MS = 40_000;

/**
 * Puts the parts of one node together and gives them their order of life: engine → command log → lease → connections, and
 * back. Holds no logic of its own.
 */
export class RealtimeRuntime {
  readonly sockets = new SocketIoLocalSockets(
    (error) => this.context.report(error, { event: 'onAnyOutgoing' }),
    (room, socketId) => this.rooms.noteNativeRoom(room, socketId),
  );
  readonly revocations = new Revocations();
  readonly cluster: ClusterParts;
  readonly rooms: RoomParts;
  readonly connections: ConnectionParts;
  readonly service: RealtimeService;
  readonly lag: EventLoopLag;
  isDraining = false;
  isStarted = false;
  isServer = false;
  private readonly drainage: Drain;
  private readonly timers: Cancel[] = [];
  private starting: Promise<void> | undefined;
  private closing: Promise<void> | undefined;

  static async create(init: ContextInit): Promise<RealtimeRuntime> {
    const authenticator = await createAuthenticator(init.options.auth, { clock: init.clock });
    return new RealtimeRuntime(new NodeContext(init), authenticator);
  }

  private constructor(
    readonly context: NodeContext,
    authenticator: Authenticator,
  ) {
    const { clock, engine, options } = context;
    const { revocations } = this;
    this.lag = new EventLoopLag(clock);
    this.cluster = new ClusterParts(context, {
      apply: (command) => clusterCommands.apply(command),
      activeRevocations: () => revocations.active().map((one) => ({ kind: 'revoke' as const, ...one })),
    });
    this.rooms = new RoomParts(context, this.cluster, this.sockets);
    const { registry, membership, manager } = this.rooms;
    const clusterCommands = new ClusterCommands({ registry, revocations, membership });
    this.connections = new ConnectionParts({
      ...{ context, cluster: this.cluster, rooms: this.rooms, authenticator, revocations },
      isDraining: () => this.isDraining,
      ready: () => this.start(),
    });
    this.drainage = new Drain({ registry, clock, windowMs: options.drain.windowMs });
    this.service = new RealtimeService({
      ...{ rooms: manager, commands: engine.commands, registry, clock },
      ...{ follower: this.cluster.follower, requests: this.cluster.requests },
      drain: () => this.drain(),
      stats: () => this.stats(),
    });
  }

  /** Connects the engine. Resolves also when Redis is away, unless it is required. */
  connect(): Promise<void> {
    return this.context.engine.ready();
  }

  /** A server is about to be created: from now on this process is a node, not only a publisher. */
  serve(): void {
    this.isServer = true;
    this.start().catch((error: unknown) => this.context.report(error, { event: 'start' }));
  }

  /** Becomes a node: loads the command log, takes the lease. Connections wait for it. */
  start(): Promise<void> {
    this.starting ??= this.becomeNode();
    return this.starting;
  }

  /** Takes no new connections and hands over those that are here. */
  drain(): Promise<void> {
    this.isDraining = true;
    return this.drainage.run();
  }

  /** Everything of this node ends; the lease runs out a little later, so that who comes back has not left. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async becomeNode(): Promise<void> {
    const { clock, options, metrics, logger } = this.context;
    const { maxTokenLifeMs } = options.auth;
    this.timers.push(
      clock.every(PRUNE_MS, () => this.revocations.prune(clock.unixNow(), maxTokenLifeMs)),
      clock.every(POSITION_CHECK_MS, () => void this.rooms.positions.run()),
    );
    const { summaryMs } = options.metrics;
    if (summaryMs > 0) this.timers.push(clock.every(summaryMs, () => logger.log(formatSummary(metrics.takeSummary()))));
    await this.connect();
    await this.cluster.join();
    this.isStarted = true;
  }

  private stats() {
    const { registry, hosted } = this.rooms;
    const { isDraining } = this;
    return { nodeId: this.context.nodeId, connections: registry.connectionCount, rooms: hosted.size, isDraining };
  }

  private async shutDown(): Promise<void> {
    const { engine } = this.context;
    this.isDraining = true;
    for (const cancel of this.timers.splice(0)) cancel();
    this.connections.close();
    this.lag.close();
    // What cannot be said to an engine that is away must not hold up the exit: its lease runs out by itself.
    if (engine.bus.state !== 'up') await engine.close();
    this.rooms.close();
    await this.cluster.leave();
    await engine.close();
  }
}
