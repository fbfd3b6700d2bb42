import type { RealtimeHandshake } from '../auth/handshake.js';
import type { Link } from '../core/link.js';
import type { Principal } from '../core/principal.js';
import type { RealtimeError } from '../core/realtime-error.js';
import type { TransportBudget } from './transport-budget.js';

export type { Credentials } from '../auth/authenticator.js';
export type { RealtimeHandshake } from '../auth/handshake.js';

/** A CONNECT whose client is not known yet; there may be no socket for it. */
export interface ConnectAttempt {
  readonly namespace: string;
  readonly isOpen: boolean;
  /** What the client said when it connected; composed from the socket each time, so that nothing is kept twice. */
  readHandshake(): RealtimeHandshake;
  /** Why CONNECT has to be refused although the transport was let in; see `Admission`. */
  readonly deferredRefusal: RealtimeError | undefined;
  /** The client's, as far as proxies are trusted; the peer's otherwise. */
  readonly address: string;
  /** Of the transport: shared by all connections on it. */
  readonly budget: TransportBudget;
}

/** A link during and after its handshake; `socketio/` implements it. */
export interface ConnectionLink extends Link, ConnectAttempt {
  /** The namespace in metrics: a bounded number of names, whatever clients ask for. */
  readonly namespaceLabel: string;
  /** Shows the principal to the app as `socket.data.principal`. */
  showPrincipal(principal: Principal): void;
}
