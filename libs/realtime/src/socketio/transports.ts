import type { Socket } from 'socket.io';
import { RealtimeError } from '../core/realtime-error.js';
import type { Gateways } from './gateways.js';
import { TransportState, type OnEnd, type TransportDeps } from './transport-state.js';

export interface TransportsDeps extends TransportDeps {
  readonly gateways: Gateways;
  /** Of one transport. 0: the declared ones and a few more. */
  readonly maxNamespaces: number;
  readonly onEnd: OnEnd;
}

/** Namespaces that one transport may open beside the declared ones. */
const EXTRA_NAMESPACES = 4;

/** The transports of a node, and what each CONNECT on them costs. */
export class Transports {
  private maxNamespaces: number | undefined;

  constructor(private readonly deps: TransportsDeps) {}

  of(conn: Socket['conn']): TransportState {
    return TransportState.of(conn) ?? TransportState.make(conn, this.deps.onEnd, this.deps);
  }

  /** Takes what one more CONNECT costs; the refusal if it is one too many. */
  takeConnect(transport: TransportState): RealtimeError | undefined {
    return transport.takeConnect() ?? this.tooMany(transport);
  }

  private tooMany(transport: TransportState): RealtimeError | undefined {
    const { maxNamespaces: given, gateways } = this.deps;
    const most = (this.maxNamespaces ??= given || gateways.namespaces.staticNamespaces().size + EXTRA_NAMESPACES);
    return transport.size < most ? undefined : new RealtimeError('LIMIT_EXCEEDED', `At most ${most} namespaces`);
  }
}
