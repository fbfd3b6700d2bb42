import { SERVER_EVENTS, WIRE_VERSION, userRoom, type Hello, type TokenNotice } from 'nestjs-realtime-protocol';
import type { Credentials } from '../auth/authenticator.js';
import type { ExpiryHandlers, ExpiryWatch } from '../auth/expiry-watch.js';
import type { Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { RoomMembership } from '../rooms/room-membership.js';
import type { RoomRegistry } from '../rooms/room-registry.js';
import type { AddressGuard } from './address-guard.js';
import { askWho, type Checks, type OpenOptions } from './ask-who.js';
import { clientMark } from './client-mark.js';
import { Connection } from './connection.js';
import type { ConnectAttempt, ConnectionLink } from './connection-link.js';
import type { HandshakeQueue } from './handshake-queue.js';
import type { TransportSlots } from './transport-slots.js';

export interface ConnectionFlowDeps extends Checks {
  readonly expiry: ExpiryWatch<Connection>;
  readonly registry: RoomRegistry;
  readonly membership: RoomMembership;
  readonly slots: TransportSlots;
  readonly handshakes: HandshakeQueue;
  readonly addresses: AddressGuard;
  readonly metrics: RealtimeMetrics;
  readonly clock: Clock;
  readonly hello: Pick<Hello, 'node' | 'limits' | 'requestWindowMs'>;
  /** True while the node hands its connections over: it takes no new ones. */
  readonly isDraining: () => boolean;
  /** Resolves when this process is a node: the command log is loaded, as far as the engine is there. */
  readonly ready: () => Promise<void>;
}

/**
 * The way of a connection: accept → authenticate → limit → register → serve → close. Nest and the app see it only after
 * `open` has resolved; whatever rejects before leaves nothing behind.
 */
export class ConnectionFlow {
  constructor(private readonly deps: ConnectionFlowDeps) {}

  /** Asks who connects, where a socket is made only for somebody who is known. Rejects with the refusal. */
  async authenticate(attempt: ConnectAttempt, options: OpenOptions): Promise<Credentials> {
    await this.accept(attempt);
    return this.inTurn(attempt, () => this.identify(attempt, options));
  }

  /** Everything before Nest sees the socket. Rejects with the refusal, which may be shown to the client. */
  async open(link: ConnectionLink, options: OpenOptions): Promise<Connection> {
    await this.accept(link);
    return this.inTurn(link, () => this.admit(link, options));
  }

  private inTurn<Result>(attempt: ConnectAttempt, task: () => Promise<Result>): Promise<Result> {
    this.deps.addresses.check(attempt);
    return this.deps.handshakes.run(task, attempt);
  }

  private async admit(link: ConnectionLink, options: OpenOptions): Promise<Connection> {
    const credentials = await this.identify(link, options);
    if (this.deps.authenticator.covers(link.namespace)) link.showPrincipal(credentials.principal);
    const connection = this.create(link, credentials);
    await this.limit(connection);
    try {
      await this.register(connection);
    } catch (error) {
      this.close(connection, { graceful: false });
      throw error;
    }
    return connection;
  }

  /** Nest has bound its handlers: from here on messages are handled. */
  serve(connection: Connection): void {
    const { hello, metrics } = this.deps;
    const { principal } = connection;
    metrics.connected(connection.link.namespaceLabel);
    connection.link.emit(SERVER_EVENTS.hello, {
      connectionId: connection.link.id,
      v: WIRE_VERSION,
      ...hello,
      ...(principal.isAnonymous ? {} : { userRoom: userRoom(principal.id) }),
    } satisfies Hello);
  }

  /** The socket is gone. Presence waits for the user to come back if it may; `isExpelled`: the server ended it for good. */
  close(connection: Connection, options: { graceful: boolean; isExpelled?: boolean }): void {
    this.deps.expiry.unwatch(connection);
    this.deps.membership.departAll(connection, options);
    if (!connection.principal.isAnonymous) this.deps.slots.release(connection);
  }

  /** New credentials for one live connection; also restarts its expiry. */
  renew(connection: Connection, credentials: Credentials): void {
    connection.credentials = credentials;
    connection.link.showPrincipal(credentials.principal);
    this.watchExpiry(connection);
  }

  private async accept({ deferredRefusal }: ConnectAttempt): Promise<void> {
    if (deferredRefusal) throw deferredRefusal;
    if (this.deps.isDraining())
      throw new RealtimeError('UNAVAILABLE', 'This node is shutting down', { retryAfterMs: 1_000 });
    await this.deps.ready();
  }

  private identify(attempt: ConnectAttempt, options: OpenOptions): Promise<Credentials> {
    return this.deps.addresses.watch(attempt, () => askWho(attempt, options, this.deps));
  }

  private create(link: ConnectionLink, credentials: Credentials): Connection {
    const rt = clientMark(link.readHandshake().auth);
    const device = rt?.device ?? link.transportId;
    return new Connection({ link, credentials, device, clientVersion: rt?.v ?? 0 });
  }

  private async limit(connection: Connection): Promise<void> {
    if (!connection.principal.isAnonymous) await this.deps.slots.take(connection);
  }

  private async register(connection: Connection): Promise<void> {
    const { registry, membership, revocations } = this.deps;
    registry.register(connection);
    if (!connection.principal.isAnonymous) await membership.enterUserRoom(connection);
    if (revocations.isRevoked(connection.credentials)) throw new RealtimeError('REVOKED');
    if (!connection.link.isOpen) throw new RealtimeError('UNAVAILABLE', 'The connection is gone');
    this.watchExpiry(connection);
  }

  private watchExpiry(connection: Connection): void {
    const { expiresAt } = connection.principal;
    this.deps.expiry.unwatch(connection);
    if (expiresAt === undefined) return;
    this.deps.expiry.watch(connection, expiresAt, ON_EXPIRY);
  }
}

/** For all connections. */
const ON_EXPIRY: ExpiryHandlers<Connection> = {
  onRefreshDue({ link, principal: { expiresAt } }) {
    if (expiresAt !== undefined) link.emit(SERVER_EVENTS.token, { expiresAt } satisfies TokenNotice);
  },
  onExpired: (connection) => connection.end(new RealtimeError('TOKEN_EXPIRED')),
};
