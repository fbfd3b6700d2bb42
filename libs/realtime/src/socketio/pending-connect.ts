import type { IncomingMessage } from 'node:http';
import { Admission } from '../connection/admission.js';
import type { ConnectAttempt, Credentials, RealtimeHandshake } from '../connection/connection-link.js';
import type { TransportBudget } from '../connection/transport-budget.js';
import type { RealtimeError } from '../core/realtime-error.js';
import type { ConnectingClient } from './client-connect.js';

/** Socket.IO's packet type CONNECT_ERROR. */
const CONNECT_ERROR = 4;

type EngineRequest = IncomingMessage & {
  readonly _query?: Record<string, unknown>;
  readonly connection: { readonly encrypted?: boolean };
};

/** A CONNECT to a namespace that does not exist. There is no socket for it: sockets belong to namespaces. */
export class PendingConnect implements ConnectAttempt {
  /** Once it is authenticated; the socket that is made then is not asked again. */
  credentials: Credentials | undefined;
  budget!: TransportBudget;
  /** Whether clients without a token were let in when it was authenticated. */
  allowAnonymous = false;

  constructor(
    private readonly client: ConnectingClient,
    readonly namespace: string,
    readonly auth: Record<string, unknown>,
  ) {}

  get isOpen(): boolean {
    return this.client.conn.readyState === 'open';
  }

  get address(): string {
    const { client } = this;
    return Admission.addressOf(client.request) ?? client.conn.remoteAddress;
  }

  get deferredRefusal(): RealtimeError | undefined {
    return Admission.deferred(this.client.request);
  }

  /** What the handshake of its socket would say. */
  readHandshake(): RealtimeHandshake {
    const request = this.client.request as EngineRequest;
    return {
      namespace: this.namespace,
      auth: this.auth,
      headers: request.headers,
      query: request._query ?? {},
      address: this.address,
      url: request.url ?? '',
      secure: Boolean(request.connection.encrypted),
    };
  }

  closeTransport(): void {
    this.client.conn.close();
  }

  /** Answers with a CONNECT_ERROR. */
  tell(message: string, data?: object): void {
    const { client } = this;
    const answer = client.conn.protocol === 3 ? (data ?? message) : { message, data };
    client._packet({ type: CONNECT_ERROR, nsp: this.namespace, data: answer });
  }
}
