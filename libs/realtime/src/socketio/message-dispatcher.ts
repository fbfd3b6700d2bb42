import { isEventName, isReservedEvent, type WireError } from 'nestjs-realtime-protocol';
import type { Socket } from 'socket.io';
import type { ClientRequests } from '../connection/client-requests.js';
import type { Clock } from '../core/clock.js';
import { gatewayScope } from '../core/gateway-scope.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { settlementOf } from '../requests/request-answer.js';
import { readEnvelope, type RequestEnvelope } from '../requests/request-envelope.js';
import type { RequestAnswer, RequestRunner } from '../requests/request-runner.js';
import { RequestScope } from '../requests/request-scope.js';
import type { RequestKey } from '../requests/request-store.js';
import { answeringUse } from './app-middleware.js';
import { RealtimeError } from '../core/realtime-error.js';
import { wireOf } from './exceptions.js';
import { directHandlerOf, isThenable } from './direct-handlers.js';
import type { GatewayHandler } from './gateway-handlers.js';
import { settle, settleRejected, type Handling } from './handler-result.js';
import { InFlight } from './in-flight.js';
import type { Internals } from './internals/internals.js';
import { Message, type AckFunction } from './message.js';
import { MALFORMED_EVENT } from './packet-bounds.js';
import { sessionOf } from './session-of.js';
import type { HandlerTable, Session } from './session.js';
import { gateMessages, passOn, type Dispatch } from './socket-dispatch.js';

export interface DispatcherDeps {
  readonly clock: Clock;
  readonly metrics: RealtimeMetrics;
  readonly requests: ClientRequests;
  /** Runs what our client marked as a request once; undefined: as any message. */
  readonly runner: RequestRunner | undefined;
  /** Longest answer that is kept for a repeat, in bytes of JSON. */
  readonly maxRecordBytes: number;
  /** Milliseconds after which a handler that has not answered is answered `TIMEOUT`. 0: never. */
  readonly handlerTimeoutMs: number;
  /** While it is pending no message is read: revocations that were missed come first. */
  readonly hold: () => Promise<void> | undefined;
  /** Says once a second at most, in one line, that an event was refused. */
  readonly onRefused: (session: Session, event: string, code: string) => void;
  readonly internals: Pick<Internals, 'directDispatch' | 'directHandlers'>;
}

type SocketListener = (this: Socket, ...args: unknown[]) => void;
interface Call {
  readonly session: Session;
  readonly message: Message;
  readonly handler: GatewayHandler;
  readonly gateway: object | undefined;
}

/**
 * The way of every message: gate (limits, names, `realtime:*`) → the app's own socket middlewares → the gateways' handlers →
 * one answer. One dispatcher for all connections; a connection adds one gate and the shared listeners of its events.
 * Refuses what no gateway declares and no app listener waits for. Invariant: an ack is answered exactly once.
 */
export class MessageDispatcher {
  readonly inFlight: InFlight;
  private readonly onAnswer = (message: Message): void => this.inFlight.delete(message);
  private readonly longer = new WeakMap<readonly HandlerTable[], WeakMap<HandlerTable, readonly HandlerTable[]>>();
  private readonly listeners = new Map<string, SocketListener>();
  /** `socket.use` as the app sees it: what its middleware refuses is answered, too. One function for all sockets. */
  private readonly useOfApp: Socket['use'];
  private readonly dispatchOfSocket: Dispatch;

  constructor(private readonly deps: DispatcherDeps) {
    this.inFlight = new InFlight(deps.clock, deps.handlerTimeoutMs);
    const gate = (session: Session, packet: unknown[]): void => this.gate(session, packet, passOn);
    this.dispatchOfSocket = function (this: Socket, packet) {
      const session = sessionOf<Session>(this);
      if (session) gate(session, packet);
    };
    this.useOfApp = answeringUse((session, packet, error) => this.refuse(session, packet, error));
  }

  /** Before any middleware that the app adds. */
  attach(session: Session): void {
    const { socket } = session;
    const isGated = this.deps.internals.directDispatch && gateMessages(socket, this.dispatchOfSocket);
    if (!isGated) socket.use((packet, next) => this.gate(session, packet as unknown[], () => next()));
    socket.use = this.useOfApp;
  }

  /** Takes what Nest bound for one gateway. Handlers of several gateways for one event all run; the first answer counts. */
  bind(session: Session, table: HandlerTable): void {
    session.handlers = this.withTable(session.handlers, table);
    for (const { message } of table.handlers) {
      const listener = this.listenerFor(String(message));
      if (!session.socket.listeners(String(message)).includes(listener)) session.socket.on(String(message), listener);
    }
  }

  /** Sessions with the same tables share their list. */
  private withTable(tables: readonly HandlerTable[], table: HandlerTable): readonly HandlerTable[] {
    if (!table.gateway) return tables.concat(table);
    let longer = this.longer.get(tables);
    if (!longer) this.longer.set(tables, (longer = new WeakMap()));
    let list = longer.get(table);
    if (!list) longer.set(table, (list = tables.concat(table)));
    return list;
  }

  private gate(session: Session, packet: unknown[], pass: typeof passOn): void {
    const held = this.deps.hold();
    if (held) return void held.then(() => this.gate(session, packet, pass));
    const { connection, socket } = session;
    if (!connection) return pass(socket, packet);
    const event = packet[0];
    const isKnown = typeof event === 'string' && this.isKnown(session, event);
    this.deps.metrics.messageIn(isKnown ? event : '_unknown');
    const limited = connection.takeMessage();
    if (limited) return this.refuse(session, packet, limited.toWire());
    if (typeof event !== 'string')
      return this.refuse(session, packet, wireOf('NOT_FOUND', 'The event must have a name'));
    if (event === MALFORMED_EVENT)
      return this.refuse(session, packet, wireOf('BAD_REQUEST', 'The payload is nested too deep'));
    if (isReservedEvent(event)) return this.request(session, event, packet);
    if (isKnown) return pass(socket, packet);
    this.refuse(session, packet, wireOf('NOT_FOUND', isEventName(event) ? 'No handler for this event' : undefined));
  }

  /** Declared by a gateway, or listened to by the app itself. A client's `error` must not pose as Socket.IO's own. */
  private isKnown(session: Session, event: string): boolean {
    const listeners = session.socket.listenerCount(event);
    return listeners > 0 && (event !== 'error' || this.listeners.has(event));
  }

  private refuse(session: Session, packet: readonly unknown[], error: WireError): void {
    this.deps.metrics.errorAck(error.code);
    this.deps.onRefused(session, typeof packet[0] === 'string' ? packet[0] : '', error.code);
    const ack = packet.at(-1);
    if (typeof ack === 'function') (ack as AckFunction)({ error });
    else session.emit('exception', { status: 'error', ...error });
  }

  /** `realtime:*`: ours, never a handler's. */
  private request(session: Session, event: string, packet: readonly unknown[]): void {
    const { data, ack, envelope } = payloadOf(packet, 1);
    const message = this.begin(event, ack);
    const run = (): void => {
      if (!session.connection) return;
      this.deps.requests
        .handle(session.connection, { event, data, id: envelope?.id }, (value) => message.answer(value))
        .catch((error: unknown) => this.fail(session, message, error));
    };
    if (!session.whenOpen(run)) this.fail(session, message, TOO_EARLY);
  }

  private listenerFor(event: string): SocketListener {
    let listener = this.listeners.get(event);
    if (!listener) {
      const dispatch = (session: Session, args: unknown[]): void => this.dispatch(session, event, args);
      listener = function (this: Socket, ...args) {
        const session = sessionOf<Session>(this);
        if (session) dispatch(session, args);
      };
      this.listeners.set(event, listener);
    }
    return listener;
  }

  private dispatch(session: Session, event: string, args: unknown[]): void {
    const { data, ack, envelope } = payloadOf(args, 0);
    const message = this.begin(event, ack);
    const isRequest = envelope !== undefined && ack !== undefined;
    if (!isRequest && !session.isOpening) return this.runAll(session, message, data);
    const isAccepted = session.whenOpen(() => {
      if (isRequest && session.connection) void this.runOnce(session, message, envelope, data);
      else this.runAll(session, message, data);
    });
    if (!isAccepted) this.fail(session, message, TOO_EARLY);
  }

  /** A request: its handler runs only if nobody has run it; whoever did, this message gets the answer. */
  private async runOnce(session: Session, message: Message, { id }: RequestEnvelope, data: unknown): Promise<void> {
    const { runner } = this.deps;
    const { connection } = session;
    if (!runner || !connection) return this.runAll(session, message, data);
    const key = { principalId: connection.principal.id, device: connection.device, id };
    const { event } = message;
    try {
      message.ack?.(await runner.run(key, (attempt) => this.answerOf(session, event, { key, attempt, data }), event));
    } catch (error) {
      this.fail(session, message, error);
    }
  }

  /** Resolves when the handlers have answered, however long that takes: the message's own deadline is another matter. */
  private answerOf(session: Session, event: string, request: RequestRun): Promise<RequestAnswer> {
    return new Promise((resolve) => {
      const scope = new RequestScope(request.key, request.attempt);
      const capture = (ack: unknown): void => {
        const settlement = settlementOf(ack, this.deps.maxRecordBytes);
        scope.end();
        resolve({ ack, settlement });
      };
      const message = new Message(event, capture, this.deps.clock.now(), () => undefined);
      message.onAbandoned = () => this.fail(session, message, ABANDONED);
      scope.run(() => this.runAll(session, message, request.data));
    });
  }

  private runAll(session: Session, message: Message, data: unknown): void {
    for (const { handlers, gateway } of session.handlers) {
      for (const handler of handlers) {
        if (handler.message === message.event) this.run({ session, message, handler, gateway }, data);
      }
    }
  }

  /** Without a promise of its own, unless the handler makes one. */
  private run(task: Call, data: unknown): void {
    const { session, message, handler } = task;
    const handling = { session, message, isManual: handler.isAckHandledManually === true, metrics: this.deps.metrics };
    let result: unknown;
    try {
      result = gatewayScope.isEnabled ? gatewayScope.run(() => this.call(task, data)) : this.call(task, data);
    } catch (exception) {
      return this.end(handling, false, exception);
    }
    if (!isThenable(result)) return this.end(handling, true, result);
    void Promise.resolve(result).then(
      (value) => this.end(handling, true, value),
      (exception: unknown) => this.end(handling, false, exception),
    );
  }

  /** Nest's own chain, or the direct way past it. */
  private call({ handler, gateway, session, message }: Call, data: unknown): unknown {
    const { callback } = handler;
    if (!gateway) return callback(data, message.ack);
    const direct = this.deps.internals.directHandlers ? directHandlerOf(callback) : undefined;
    if (direct) return direct(session.socket, data, message.ack);
    return callback.call(gateway, session.socket, data, message.ack);
  }

  private end(handling: Handling, isResolved: boolean, outcome: unknown): void {
    const { message, session } = handling;
    try {
      if (isResolved) settle(handling, outcome);
      else this.fail(session, message, outcome);
    } catch (exception) {
      this.fail(session, message, exception);
    } finally {
      this.deps.metrics.handled(message.event, (this.deps.clock.now() - message.receivedAt) / 1_000);
    }
  }

  private fail(session: Session, message: Message, exception: unknown): void {
    settleRejected({ session, message, isManual: false, metrics: this.deps.metrics }, exception);
  }

  private begin(event: string, ack: AckFunction | undefined): Message {
    const message = new Message(event, ack, this.deps.clock.now(), this.onAnswer);
    if (ack) this.inFlight.add(message);
    return message;
  }
}

interface RequestRun {
  readonly key: RequestKey;
  readonly attempt: number;
  readonly data: unknown;
}

const ABANDONED = new RealtimeError('UNAVAILABLE', 'The connection ended before the answer');

const TOO_EARLY = new RealtimeError('UNAVAILABLE', 'The connection is still being set up');

interface Payload {
  readonly data: unknown;
  readonly ack: AckFunction | undefined;
  readonly envelope: RequestEnvelope | undefined;
}

/** Nest's meaning of the arguments: none is `undefined`, one is itself, several are an array; ours (`$rt`) is taken away. */
function payloadOf(args: readonly unknown[], from: number): Payload {
  const last = args.at(-1);
  const ack = typeof last === 'function' ? (last as AckFunction) : undefined;
  let end = ack ? args.length - 1 : args.length;
  const envelope = end > from ? readEnvelope(args[end - 1]) : undefined;
  if (envelope) end -= 1;
  const count = end - from;
  return { data: count <= 0 ? undefined : count === 1 ? args[from] : args.slice(from, end), ack, envelope };
}
