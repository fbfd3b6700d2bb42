import { SERVER_EVENTS } from 'nestjs-realtime-protocol';
import { Subject } from 'rxjs';
import { Logger } from '@nestjs/common';
import { createAuthenticator } from './auth/create-authenticator.js';
import { ExpiryWatch } from './auth/expiry-watch.js';
import { Revocations } from './auth/revocations.js';
import { ClusterRequests } from './cluster/cluster-requests.js';
import { CommandFollower } from './cluster/command-follower.js';
import { NodeRegistry } from './cluster/node-registry.js';
import { ClientRequests } from './connection/client-requests.js';
import { ClusterCommands } from './connection/cluster-commands.js';
import { ConnectionFlow } from './connection/connection-flow.js';
import type { Connection } from './connection/connection.js';
import { Drain } from './connection/drain.js';
import { RealtimeService } from './connection/realtime.service.js';
import { TransportSlots } from './connection/transport-slots.js';
import type { Clock } from './core/clock.js';
import { EventLoopLag } from './core/event-loop-lag.js';
import type { NodeId } from './core/ids.js';
import { formatSummary, type summarize } from './core/metrics-summary.js';
import { abuseLimit } from './limits/limits-options.js';
import { TransportLimits } from './limits/transport-limits.js';
import { HostedPresence } from './presence/hosted-presence.js';
import { NodePresence } from './presence/node-presence.js';
import type { PresenceTransition } from './presence/presence-store.js';
import type { Engine } from './realtime.engine.js';
import type { ErrorContext, ResolvedRealtimeOptions } from './realtime.options.js';
import { HostedRooms } from './rooms/hosted-rooms.js';
import { MemberQueries } from './rooms/member-queries.js';
import { PositionCheck } from './rooms/position-check.js';
import { RoomBroadcast } from './rooms/room-broadcast.js';
import { RoomManager } from './rooms/room-manager.js';
import { RoomMembership } from './rooms/room-membership.js';
import { RoomPolicies } from './rooms/room-policies.js';
import { RoomRegistry } from './rooms/room-registry.js';
import { SocketIoLocalSockets } from './socketio/local-socket-broadcast.js';

export interface RuntimeDeps {
  readonly options: ResolvedRealtimeOptions;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly metrics: ReturnType<typeof summarize>;
}

/** Revocations that can hit no token any more are forgotten this often, in milliseconds. */
const PRUNE_MS = 60_000;
/** Hosted rooms are compared with the store this often, in milliseconds (as Centrifugo does). */
const POSITION_CHECK_MS = 40_000;
/** Milliseconds that a lease outlives the leave grace at shutdown, so that who comes back elsewhere has not left. */
const LEASE_SLACK_MS = 2_000;

/**
 * Puts the parts of one node together and gives them their order of life: engine → command log → lease → connections, and
 * back. Holds no logic of its own.
 */
export class RealtimeRuntime {
  readonly logger = new Logger('Realtime');
  readonly nodeId: NodeId;
  readonly sockets = new SocketIoLocalSockets();
  readonly registry = new RoomRegistry();
  readonly policies = new RoomPolicies();
  readonly transitions = new Subject<PresenceTransition>();
  readonly revocations = new Revocations();
  readonly transportLimits: TransportLimits;
  readonly lag: EventLoopLag;
  readonly nodes: NodeRegistry;
  readonly presence: NodePresence;
  readonly hosted: HostedRooms;
  readonly membership: RoomMembership;
  readonly rooms: RoomManager;
  readonly service: RealtimeService;
  readonly flow: ConnectionFlow;
  readonly requests: ClientRequests;
  isDraining = false;
  isStarted = false;
  isServer = false;
  private readonly follower: CommandFollower;
  private readonly clusterRequests: ClusterRequests;
  private readonly expiry: ExpiryWatch<Connection>;
  private readonly stops: (() => void)[] = [];
  private starting: Promise<void> | undefined;
  private closing: Promise<void> | undefined;
  private draining: Drain | undefined;

  static async create(deps: RuntimeDeps): Promise<RealtimeRuntime> {
    return new RealtimeRuntime(deps, await createAuthenticator(deps.options.auth, { clock: deps.clock }));
  }

  private constructor(
    readonly deps: RuntimeDeps,
    authenticator: Awaited<ReturnType<typeof createAuthenticator>>,
  ) {
    const { options, engine, clock, metrics } = deps;
    const { bus, leases, commands, presence: store } = engine;
    const { limits, cluster } = options;
    const { registry, policies, revocations } = this;
    const sockets = new RoomBroadcast(registry, this.sockets, metrics);
    this.nodeId = cluster.nodeId as NodeId;
    this.lag = new EventLoopLag(clock);
    this.transportLimits = new TransportLimits(limits, clock);
    this.nodes = new NodeRegistry({
      ...{ leases, clock, nodeId: this.nodeId, onError: (error: unknown) => this.note(error) },
      ...{ leaseMs: cluster.leaseMs, renewMs: cluster.renewMs, watchMs: cluster.watchMs },
      sweepAgainMs: cluster.sweepAgainMs,
      onLapsed: (incarnation) => this.presence.sweep(incarnation),
      onForgotten: (incarnation) => store.forget(incarnation),
      onCommandsTop: (top) => this.follower.onTop(top),
    });
    this.presence = new NodePresence({
      ...{ store, clock, metrics, incarnations: this.nodes, leaveGraceMs: options.presence.leaveGraceMs },
      onTransition: (transition) => this.transitions.next(transition),
    });
    this.hosted = new HostedRooms({
      ...{ bus, sockets, clock, metrics, nodeId: this.nodeId, lingerMs: options.rooms.lingerMs },
      hasMembers: (room) => registry.has(room),
      createPresence: (room) => this.createPresence(room),
    });
    this.membership = new RoomMembership({
      registry,
      policies,
      clock,
      hosted: this.hosted,
      presence: this.presence,
      maxRooms: limits.maxRooms,
    });
    this.clusterRequests = new ClusterRequests({
      bus,
      clock,
      nodeId: this.nodeId,
      nodes: this.nodes,
      timeoutMs: cluster.requestTimeoutMs,
      onError: (error) => this.note(error),
    });
    const clusterCommands = new ClusterCommands({ registry, revocations, membership: this.membership });
    this.follower = new CommandFollower({
      ...{ log: commands, bus, clock, onError: (error: unknown) => this.note(error) },
      apply: (command) => clusterCommands.apply(command),
      activeRevocations: () => revocations.active().map((one) => ({ kind: 'revoke' as const, ...one })),
    });
    this.rooms = new RoomManager({
      ...{ bus, commands, sockets, registry, metrics, nodeId: this.nodeId },
      ...{ requests: this.clusterRequests, membership: this.membership, hosted: this.hosted },
      queries: new MemberQueries({ registry, policies, store, requests: this.clusterRequests }),
    });
    this.service = new RealtimeService({
      ...{ rooms: this.rooms, commands, registry, clock, follower: this.follower, requests: this.clusterRequests },
      drain: () => this.drain(),
      stats: () => ({
        nodeId: this.nodeId,
        connections: registry.connectionCount,
        rooms: this.hosted.size,
        isDraining: this.isDraining,
      }),
    });
    const { refreshLeadMs, expiryGraceMs } = options.auth;
    this.expiry = new ExpiryWatch({ clock, refreshLeadMs, expiryGraceMs, onError: (error) => this.report(error) });
    this.flow = new ConnectionFlow({
      ...{ authenticator, revocations, registry, metrics, clock, expiry: this.expiry, membership: this.membership },
      slots: new TransportSlots(this.presence, commands, limits.transportsPerUser, metrics, () => bus.state === 'up'),
      flood: {
        rate: { perSecond: limits.messagesPerSecond, burst: limits.burst },
        abuse: abuseLimit(limits.abuse),
        now: () => clock.now(),
        onRefused: () => metrics.throttled('messagesPerSecond'),
      },
      hello: {
        node: this.nodeId,
        limits: {
          messagesPerSecond: limits.messagesPerSecond,
          burst: limits.burst,
          maxPayloadBytes: limits.maxPayloadBytes,
          maxRooms: limits.maxRooms,
        },
      },
      isDraining: () => this.isDraining,
      ready: () => this.start(),
    });
    this.requests = new ClientRequests({
      ...{ authenticator, revocations, registry, policies, store, flow: this.flow, membership: this.membership },
      ...{ hosted: this.hosted, rooms: this.rooms, presence: this.presence },
      onError: (error, { link, principal }, event) =>
        this.report(error, { event, connectionId: link.id, namespace: link.namespace, userId: principal.id }),
    });
  }

  /** Connects the engine. Resolves also when Redis is away, unless it is required. */
  async connect(): Promise<void> {
    await this.deps.engine.ready();
  }

  /** A server is about to be created: from now on this process is a node, not only a publisher. */
  serve(): void {
    this.isServer = true;
    this.start().catch((error: unknown) => this.report(error, { event: 'start' }));
  }

  /** Becomes a node: loads the command log, takes the lease. Connections wait for it. */
  start(): Promise<void> {
    this.starting ??= this.becomeNode();
    return this.starting;
  }

  /** Logged with its stack, and told to `onError`. */
  report(error: unknown, context: Partial<ErrorContext> = {}): void {
    const where = context.event === undefined ? '' : ` in '${context.event.slice(0, 64)}'`;
    this.logger.error(`Unexpected failure${where}`, error instanceof Error ? error.stack : String(error));
    const full = { event: undefined, connectionId: undefined, namespace: undefined, userId: undefined, ...context };
    try {
      this.deps.options.onError?.(error, full);
    } catch (failure) {
      this.logger.error('onError threw', failure instanceof Error ? failure.stack : String(failure));
    }
  }

  /** Takes no new connections and hands over those that are here. */
  async drain(): Promise<void> {
    this.isDraining = true;
    const { registry } = this;
    this.draining ??= new Drain({ registry, clock: this.deps.clock, windowMs: this.deps.options.drain.windowMs });
    await this.draining.run();
  }

  /** Everything of this node ends; the lease runs out a little later, so that who comes back has not left. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async becomeNode(): Promise<void> {
    const { bus } = this.deps.engine;
    this.stops.push(
      bus.onState((state) => {
        if (state !== 'up') return;
        void this.nodes.refresh();
        void this.presence.restoreAll();
        this.clusterRequests.ready().catch((error: unknown) => this.note(error));
      }),
    );
    this.stops.push(
      this.deps.clock.every(PRUNE_MS, () =>
        this.revocations.prune(this.deps.clock.unixNow(), this.deps.options.auth.maxTokenLifeMs),
      ),
    );
    const { summaryMs } = this.deps.options.metrics;
    if (summaryMs > 0) {
      const say = (): void => this.logger.log(formatSummary(this.deps.metrics.takeSummary()));
      this.stops.push(this.deps.clock.every(summaryMs, say));
    }
    const positions = new PositionCheck({
      store: this.deps.engine.presence,
      hosted: this.hosted,
      presence: this.presence,
      onError: (error) => this.note(error),
    });
    this.stops.push(this.deps.clock.every(POSITION_CHECK_MS, () => void positions.run()));
    await this.connect();
    const joined = Promise.all([this.follower.ready(), this.nodes.start()]);
    // Without Redis the node serves what it can; revocations end connections as soon as the log can be read.
    if (bus.state === 'up') await Promise.all([joined, this.clusterRequests.ready()]);
    this.isStarted = true;
  }

  /** Expected while the engine is away: counted there and said once, so only for those who debug. */
  private note(error: unknown): void {
    this.logger.debug(error instanceof Error ? error.message : String(error));
  }

  private createPresence(room: string): HostedPresence | undefined {
    const { options, engine, clock, metrics } = this.deps;
    if (!this.policies.match(room)?.declared.options.presence) return undefined;
    const { coalesceMs, maxListed, settleMs } = options.presence;
    return new HostedPresence({
      ...{ room, store: engine.presence, clock, metrics, coalesceMs, maxListed, settleMs },
      emit: (payload) => this.sockets.broadcast(room, SERVER_EVENTS.presence, [payload]),
    });
  }

  private async shutDown(): Promise<void> {
    this.isDraining = true;
    for (const stop of this.stops.splice(0)) stop();
    this.expiry.close();
    this.lag.close();
    // What cannot be said to an engine that is away must not hold up the exit: its lease runs out by itself.
    if (this.deps.engine.bus.state !== 'up') await this.deps.engine.close();
    this.hosted.close();
    await this.presence.close();
    await this.nodes.close(this.deps.options.presence.leaveGraceMs + LEASE_SLACK_MS);
    await this.follower.close();
    await this.clusterRequests.close();
    await this.deps.engine.close();
    this.transitions.complete();
  }
}
