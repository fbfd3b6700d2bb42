import type { Server as HttpServer } from 'node:http';
import type { ModulesContainer } from '@nestjs/core';
import type { ServerOptions } from 'socket.io';
import type { Admission } from '../connection/admission.js';
import type { ClientRequests } from '../connection/client-requests.js';
import type { ConnectionFlow } from '../connection/connection-flow.js';
import type { Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import type { FloodLimit } from '../connection/transport-budget.js';
import type { RequestRunner } from '../requests/request-runner.js';
import { Gateways } from './gateways.js';
import { Handshake } from './handshake.middleware.js';
import type { SocketIoLocalSockets } from './local-socket-broadcast.js';
import { MessageDispatcher } from './message-dispatcher.js';
import type { Internals } from './internals/internals.js';
import type { RealtimeAdapterDeps } from './realtime-io.adapter.js';
import { HttpServerLimits } from './http-server-limits.js';
import { RefusalLog } from './refusal-log.js';
import { SendBufferWatch, type SendBufferWatchDeps } from './send-buffer-watch.js';
import { toServerOptions, type SocketServerOptions } from './server-options.js';
import type { Reported, ReportError } from './session.js';
import { SessionGuard } from './session-guard.js';
import { UpgradeGuard } from './upgrade-guard.js';
import { WriteTurn } from './write-turn.js';

export interface AdapterParts {
  readonly modules: ModulesContainer;
  readonly clock: Clock;
  readonly metrics: RealtimeMetrics;
  readonly flow: ConnectionFlow;
  readonly flood: FloodLimit;
  readonly maxNamespaces: number;
  readonly maxChildren: number;
  readonly requests: ClientRequests;
  readonly runner: RequestRunner | undefined;
  readonly maxRecordBytes: number;
  readonly admission: Admission;
  readonly sockets: SocketIoLocalSockets;
  readonly server: SocketServerOptions;
  /** Of each HTTP server; undefined: no limit. */
  readonly maxConnections: number | undefined;
  readonly handlerTimeoutMs: number;
  readonly hold: () => Promise<void> | undefined;
  readonly decideSend: SendBufferWatchDeps['decide'];
  readonly httpServer: () => HttpServer | undefined;
  readonly onFirstServer: () => void;
  readonly clusterAdapter: () => unknown;
  readonly gatewayGuard: object | undefined;
  readonly servesRequestScope: boolean;
  readonly internals: Internals;
  readonly report: (error: unknown, where: FailurePlace) => void;
  readonly warn: (line: string) => void;
}

export interface FailurePlace {
  readonly event?: string | undefined;
  readonly connectionId?: string | undefined;
  readonly namespace?: string | undefined;
  readonly userId?: string | undefined;
}

/** For the log. */
const TOO_MANY_NAMESPACES = 'as a namespace: this node has as many as limits.dynamicNamespaces allows';

/** Puts together what the adapter works with. @throws Error listing every gateway that cannot work, and what to do. */
export function createAdapterDeps(
  parts: AdapterParts,
): RealtimeAdapterDeps & { readonly dispatcher: MessageDispatcher } {
  const { clock, metrics, flow, internals } = parts;
  const report: ReportError = (error, where, event) => parts.report(error, placeOf(where, event));
  const gateways = new Gateways(parts.modules, parts.servesRequestScope, report);
  const turn = internals.coalescedWrites ? new WriteTurn(internals.directWrites) : undefined;
  const serverOptions = toServerOptions(parts.server, clock, { turn, internals });
  const problems = gateways.problems(serverOptions);
  if (problems.length > 0) throw new Error(`RealtimeModule cannot serve these gateways:\n- ${problems.join('\n- ')}`);
  const refusals = new RefusalLog(clock, parts.warn);
  const httpLimits = new HttpServerLimits({
    ...{ headersWithinMs: parts.server.connectTimeoutMs, maxConnections: parts.maxConnections },
    onTooSlow: () => metrics.handshakeRejected('TIMEOUT'),
    onDropped: (address) => {
      metrics.handshakeRejected('UNAVAILABLE');
      refusals.say(
        'UNAVAILABLE',
        address,
        'as a connection: the HTTP server has as many as it may open (maxConnections)',
      );
    },
  });
  const dispatcher = new MessageDispatcher({
    ...{ clock, metrics, requests: parts.requests, handlerTimeoutMs: parts.handlerTimeoutMs, hold: parts.hold },
    ...{ runner: parts.runner, maxRecordBytes: parts.maxRecordBytes, internals },
    onRefused: (session, event, code) => refusals.say(code, event, `on connection ${session.id}`),
  });
  return {
    ...{
      httpLimits,
      gateways,
      dispatcher,
      serverOptions,
      internals,
      turn,
      sockets: parts.sockets,
      httpServer: parts.httpServer,
    },
    handshake: new Handshake({
      flow,
      gateways,
      dispatcher,
      metrics,
      report,
      internals,
      transports: { flood: parts.flood, admission: parts.admission, maxNamespaces: parts.maxNamespaces },
      children: { max: parts.maxChildren, onFull: (name) => refusals.say('UNAVAILABLE', name, TOO_MANY_NAMESPACES) },
    }),
    sendBuffers: new SendBufferWatch({ metrics, decide: parts.decideSend }),
    upgrades: new UpgradeGuard({ clock, admission: parts.admission, advise: parts.warn }),
    sessions: new SessionGuard(parts.admission, clock, parts.server.connectTimeoutMs),
    onFirstServer: parts.onFirstServer,
    gatewayGuard: parts.gatewayGuard,
    clusterAdapter: () => constructible(parts.clusterAdapter()),
    warn: parts.warn,
  };
}

/** Socket.IO calls `new` on what it is given, which arrow functions refuse. */
function constructible(factory: unknown): ServerOptions['adapter'] | undefined {
  if (typeof factory !== 'function') return undefined;
  return function adapter(namespace: unknown): unknown {
    return (factory as (namespace: unknown) => unknown)(namespace);
  } as unknown as ServerOptions['adapter'];
}

function placeOf(where: Reported | undefined, event: string | undefined): FailurePlace {
  return { event, connectionId: where?.id, namespace: where?.namespace, userId: where?.connection?.principal.id };
}
