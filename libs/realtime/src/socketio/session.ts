import { AsyncResource } from 'node:async_hooks';
import type { WireError } from 'nestjs-realtime-protocol';
import type { Socket } from 'socket.io';
import { Admission } from '../connection/admission.js';
import type { Connection } from '../connection/connection.js';
import type { ConnectionLink } from '../connection/connection-link.js';
import { randomId, type ConnectionId, type TransportId } from '../core/ids.js';
import type { EncodedEvent } from '../core/link.js';
import type { Principal } from '../core/principal.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { TransportBudget } from '../connection/transport-budget.js';
import { packetOf } from './encoded-packet.js';
import { mapException } from './exceptions.js';
import type { GatewayHandler } from './gateway-handlers.js';
import { handshakeOf } from './handshake-of.js';
import type { Message } from './message.js';
import { labelOf } from './namespace-label.js';
import { waitingBytesOf } from './send-buffer-watch.js';
import { SESSION, type FailureSink } from './session-of.js';

/** The handlers of one gateway. */
export interface HandlerTable {
  readonly handlers: readonly GatewayHandler[];
  /** What they are called on, with the client as first argument; absent: Nest has bound them to both. */
  readonly gateway?: object;
}

/** What `emit()` itself calls, in Socket.IO's own words. */
interface Outgoing {
  notifyOutgoingListeners(packet: unknown): void;
  packet(packet: unknown, options: { volatile: boolean }): void;
}

/** Of every session until Nest binds some. */
const NO_HANDLERS: readonly HandlerTable[] = [];

/** A transport's name for others. Its own id is as good as a password: Engine.IO continues a session for whoever has it. */
const LABEL = Symbol('nestjs-realtime:transport');

/** Messages that may wait for an async `handleConnection`; more are refused. */
const MAX_WAITING = 64;

/** What something failed for. */
export interface Reported {
  readonly id?: ConnectionId;
  readonly namespace: string;
  readonly connection?: Connection | undefined;
}

/** What ends a session: error reporting is shared by all sessions of an adapter. */
export type ReportError = (exception: unknown, where: Reported | undefined, event?: string) => void;

/**
 * One Socket.IO socket on its way through Nest: the link that the rest of the library writes to, the handlers that Nest
 * bound, and the messages that wait until every `handleConnection` has settled. Keeps no timer.
 */
export class Session implements ConnectionLink, FailureSink {
  connection: Connection | undefined;
  budget!: TransportBudget;
  /** Replaced, never changed: an array that grows keeps room for more, and there is one for each connection. */
  handlers: readonly HandlerTable[] = NO_HANDLERS;
  /** Subscriptions of Observable answers; created by the first. */
  streams: Set<{ unsubscribe(): void }> | undefined;
  /** The app has seen it. */
  isServed = false;
  isEnded = false;
  private opening = 0;
  private waiting: (() => void)[] | undefined;

  constructor(
    readonly socket: Socket,
    private readonly report: ReportError,
  ) {
    (socket as Socket & { [SESSION]?: Session })[SESSION] = this;
    const address = Admission.addressOf(socket.request);
    if (address !== undefined) socket.handshake.address = address;
  }

  get id(): ConnectionId {
    return this.socket.id as ConnectionId;
  }

  get transportId(): TransportId {
    const transport = this.socket.conn as unknown as { [LABEL]?: TransportId };
    return (transport[LABEL] ??= randomId<TransportId>());
  }

  get address(): string {
    return this.socket.handshake.address;
  }

  get namespace(): string {
    return this.socket.nsp.name;
  }

  get namespaceLabel(): string {
    return labelOf(this.socket.nsp);
  }

  get auth(): unknown {
    return this.socket.handshake.auth;
  }

  get isOpen(): boolean {
    return this.socket.conn.readyState === 'open';
  }

  /** Nothing before CONNECT is answered: a middleware of the app may refuse the client yet. */
  emit(event: string, ...args: unknown[]): void {
    if (this.socket.connected) this.socket.emit(event, ...args);
  }

  /** As `emit`. */
  send(event: EncodedEvent, options: { readonly volatile?: boolean | undefined } = {}): void {
    if (!this.socket.connected) return;
    const packet = packetOf(event);
    const socket = this.socket as unknown as Outgoing;
    try {
      socket.notifyOutgoingListeners(packet);
    } catch (error) {
      this.report(error, this, 'onAnyOutgoing');
    }
    socket.packet(packet, { volatile: options.volatile === true });
  }

  get pendingBytes(): number {
    return waitingBytesOf(this.socket.conn);
  }

  onDrain(listener: () => void): () => void {
    const { conn } = this.socket;
    conn.on('drain', listener);
    return () => conn.off('drain', listener);
  }

  joinRoom(room: string): void {
    const joined = this.socket.join(room);
    if (joined instanceof Promise) joined.catch((error: unknown) => this.report(error, this));
  }

  leaveRoom(room: string): void {
    const left = this.socket.leave(room);
    if (left instanceof Promise) left.catch((error: unknown) => this.report(error, this));
  }

  closeTransport(): void {
    this.socket.conn.close();
  }

  disconnect(): void {
    this.socket.disconnect();
  }

  get deferredRefusal(): RealtimeError | undefined {
    return Admission.deferred(this.socket.request);
  }

  readHandshake(): ReturnType<typeof handshakeOf> {
    return handshakeOf(this.socket);
  }

  showPrincipal(principal: Principal): void {
    (this.socket.data as { principal?: Principal }).principal = principal;
  }

  /** Runs a gateway's `handleConnection`; messages wait for it, and its failure ends the connection instead of the process. */
  async open(handleConnection: () => unknown): Promise<void> {
    this.opening += 1;
    try {
      await handleConnection();
    } catch (exception) {
      this.refuseConnection(exception);
    } finally {
      this.opening -= 1;
      if (this.opening === 0) this.resume();
    }
  }

  /** A `handleConnection` has not settled yet. */
  get isOpening(): boolean {
    return this.opening > 0;
  }

  /** Runs `task` now, or after every `handleConnection` has settled; false if too many wait already. */
  whenOpen(task: () => void): boolean {
    if (this.opening === 0) {
      task();
      return true;
    }
    this.waiting ??= [];
    if (this.waiting.length >= MAX_WAITING) return false;
    this.waiting.push(AsyncResource.bind(task));
    return true;
  }

  fail(message: Message | undefined, exception: unknown): void {
    const { wire, isUnexpected } = mapException(exception);
    if (isUnexpected) this.report(exception, this, message?.event);
    try {
      this.tell(message, wire);
    } catch (failure) {
      // Details that cannot be encoded: nobody above would catch it, and the client still needs its answer.
      this.report(failure, this, message?.event);
      const { code, message: text, retryable } = wire;
      this.tell(message, { code, message: text, retryable });
    }
  }

  /** The socket is gone: nothing waits any more. */
  end(): void {
    this.isEnded = true;
    this.waiting = undefined;
    for (const stream of this.streams ?? []) stream.unsubscribe();
    this.streams = undefined;
  }

  private tell(message: Message | undefined, wire: WireError): void {
    if (message?.ack) message.refuse(wire);
    else this.emit('exception', { status: 'error', ...wire });
  }

  private resume(): void {
    const waiting = this.waiting;
    this.waiting = undefined;
    for (const task of waiting ?? []) if (this.socket.connected) task();
  }

  private refuseConnection(exception: unknown): void {
    const { wire, isUnexpected } = mapException(exception);
    if (isUnexpected) this.report(exception, this, 'handleConnection');
    this.waiting = undefined;
    const error = new RealtimeError(wire.code, wire.message, {
      retryable: wire.retryable,
      retryAfterMs: wire.retryAfterMs,
    });
    if (this.connection) this.connection.end(error);
    else this.disconnect();
  }
}
