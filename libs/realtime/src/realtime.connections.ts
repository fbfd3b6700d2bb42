import { userRoom } from 'nestjs-realtime-protocol';
import type { Authenticator } from './auth/authenticator.js';
import { ExpiryWatch } from './auth/expiry-watch.js';
import type { Revocations } from './auth/revocations.js';
import { AddressGuard } from './connection/address-guard.js';
import { ClientRequests } from './connection/client-requests.js';
import { ConnectionFlow } from './connection/connection-flow.js';
import type { Connection } from './connection/connection.js';
import { floodLimit, transportsIn } from './connection/flood-limit.js';
import { HandshakeQueue } from './connection/handshake-queue.js';
import type { FloodLimit } from './connection/transport-budget.js';
import { TransportSlots } from './connection/transport-slots.js';
import type { ResolvedLimitsOptions } from './limits/limits-options.js';
import { FailedConnects } from './limits/failed-connects.js';
import { SilentTransports } from './limits/silent-transports.js';
import { TransportLimits } from './limits/transport-limits.js';
import type { ClusterParts } from './realtime.cluster.js';
import { RequestRunner } from './requests/request-runner.js';
import { RefusalLog } from './socketio/refusal-log.js';
import type { NodeContext } from './realtime.context.js';
import type { RoomParts } from './realtime.rooms.js';

export interface ConnectionPartsDeps {
  readonly context: NodeContext;
  readonly cluster: ClusterParts;
  readonly rooms: RoomParts;
  readonly authenticator: Authenticator;
  readonly revocations: Revocations;
  readonly isDraining: () => boolean;
  readonly ready: () => Promise<void>;
}

/** Handshakes that a node checks at a time: more would only ask the app's checks and Redis faster than they answer. */
const MAX_HANDSHAKES = 256;
/** Milliseconds that one waits for its turn: half of what a stock client waits for its connection. */
const HANDSHAKE_WAIT_MS = 10_000;

/** The way of connections through this node, and what their clients may ask for. */
export class ConnectionParts {
  readonly transportLimits: TransportLimits;
  readonly silent: SilentTransports;
  readonly flood: FloodLimit;
  readonly flow: ConnectionFlow;
  readonly requests: ClientRequests;
  /** Undefined: requests are not known. */
  readonly runner: RequestRunner | undefined;
  private readonly expiry: ExpiryWatch<Connection>;

  constructor({ context, cluster, rooms, authenticator, revocations, isDraining, ready }: ConnectionPartsDeps) {
    const { clock, metrics, engine, options } = context;
    const { limits, auth } = options;
    const { presence } = cluster;
    const { registry, membership, policies, hosted } = rooms;
    const isEngineUp = (): boolean => engine.bus.state === 'up';
    const { logger } = context;
    const slotsDeps = { presence, commands: engine.commands, metrics, logger, isEngineUp };
    const slots = new TransportSlots(slotsDeps, limits.transportsPerUser);
    this.transportLimits = new TransportLimits(limits, clock);
    this.silent = new SilentTransports(limits.silentTransportsPerIp);
    const now = (): number => clock.now();
    const refusals = new RefusalLog(clock, (line) => logger.warn(line));
    this.flood = floodLimit(limits, {
      now,
      onRefused: (option) => metrics.throttled(option),
      transportsOf: (userId, most) => transportsIn(registry.members(userRoom(userId)), most),
    });
    const addresses = new AddressGuard({
      authenticator,
      failures: new FailedConnects(limits.failedConnectsPerIp, now),
      onRefused: (address) => {
        metrics.throttled('failedConnectsPerIp');
        const why = 'too many of its address failed (limits.failedConnectsPerIp; if it is a proxy: trustProxy)';
        refusals.say('RATE_LIMITED', address, `as a connection: ${why}`);
      },
    });
    this.expiry = new ExpiryWatch({
      ...{ clock, refreshLeadMs: auth.refreshLeadMs, expiryGraceMs: auth.expiryGraceMs },
      onError: (error) => context.report(error),
    });
    this.flow = new ConnectionFlow({
      ...{ authenticator, revocations, registry, metrics, clock, membership, slots, isDraining, ready },
      expiry: this.expiry,
      addresses,
      handshakes: new HandshakeQueue({ clock, maxRunning: MAX_HANDSHAKES, maxWaitMs: HANDSHAKE_WAIT_MS }),
      hello: { node: options.cluster.shownId, limits: helloLimits(limits), requestWindowMs: options.requests.windowMs },
    });
    const { windowMs } = options.requests;
    if (windowMs > 0) {
      this.runner = new RequestRunner({
        ...{ store: engine.requests, owners: cluster.nodes, clock, metrics, windowMs },
        waitMs: options.handlerTimeoutMs === 0 ? windowMs : options.handlerTimeoutMs,
      });
    }
    this.requests = new ClientRequests({
      ...{ authenticator, revocations, registry, policies, membership, hosted, presence, metrics },
      ...{ flow: this.flow, publisher: rooms.publisher, histories: rooms.histories, store: engine.presence },
      onError: (error, { link, principal }, event) =>
        context.report(error, { event, connectionId: link.id, namespace: link.namespace, userId: principal.id }),
    });
  }

  close(): void {
    this.expiry.close();
    this.runner?.close();
  }
}

function helloLimits({ messagesPerSecond, burst, maxPayloadBytes, maxRooms }: ResolvedLimitsOptions) {
  return { messagesPerSecond, burst, maxPayloadBytes, maxRooms };
}
