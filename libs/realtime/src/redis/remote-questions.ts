import type { Clock } from '../core/clock.js';
import type { RealtimeLogger } from '../core/logger.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { FailureLog } from '../core/failure-log.js';
import { printable } from '../core/printable.js';
import { QuietKinds } from '../core/quiet-kinds.js';

/** What is used of Socket.IO's adapters beyond their types. `onrequest`: the one for one Redis; the others: the sharded one. */
export interface Answering {
  readonly nsp: { _onServerSideEmit?: (args: unknown[]) => void };
  onrequest?: (channel: unknown, message: Buffer) => Promise<void>;
  onMessage?: (message: unknown, offset?: string) => Promise<void>;
  encode?: Encode;
  publishResponse?: (request: unknown, response: string) => void;
  fetchSockets(options: unknown): Promise<FetchedSocket[]>;
}

interface Answer {
  readonly data?: { readonly sockets?: readonly FetchedSocket[] };
}

interface FetchedSocket {
  readonly id: string;
  readonly handshake: object & { readonly sessionStore?: unknown };
  readonly rooms: Iterable<string>;
  readonly data: unknown;
}

interface FetchRequest {
  readonly type?: unknown;
  readonly opts?: { readonly rooms?: Iterable<string>; readonly except?: Iterable<string> };
}

export interface AnswerTrace {
  readonly clock: Clock;
  readonly logger: RealtimeLogger;
  readonly metrics: RealtimeMetrics;
}

type LeftOut = (socketId: string, fields: readonly string[]) => void;

/** Characters of the names of fields in a log line. */
const MAX_NAMES = 300;
/** `REMOTE_FETCH` of the adapter for one Redis. */
const REMOTE_FETCH = 5;

/**
 * Whatever another node asks of this one never ends it. Both adapters answer in promises that nobody awaits, so an
 * error there (`socket.data` with a BigInt or a circle, a listener of `serverSideEmit` that throws, a stranger's request) is
 * an unhandled rejection. Sockets whose data cannot be sent are answered without the fields that cannot.
 */
export function answerSafely(adapter: Answering, { clock, logger, metrics }: AnswerTrace): void {
  const failures = new FailureLog(clock, (line, stack) => logger.error(`${line}: ${stack}`));
  const kinds = new QuietKinds(clock);
  const failed = (error: unknown): void => {
    metrics.dropped('adapter-answer');
    failures.say('the Socket.IO adapter failed at a question of another node', undefined, error);
  };
  const leftOut: LeftOut = (id, fields) => {
    metrics.dropped('adapter-answer');
    const names = fields.join(', ').slice(0, MAX_NAMES);
    const more = kinds.say(names);
    if (more === undefined) return;
    logger.warn(`socket ${printable(id)} is sent to another node without ${names}: JSON cannot hold that${more}`);
  };
  guardListeners(adapter, failed);
  const { onrequest, onMessage, encode } = adapter;
  if (typeof onrequest === 'function') {
    adapter.onrequest = async (channel, message) => {
      try {
        await onrequest.call(adapter, channel, message);
      } catch (error) {
        const isAnswered = await answerFetch(adapter, message, leftOut).catch(() => false);
        if (!isAnswered) failed(error);
      }
    };
  }
  if (typeof onMessage === 'function') {
    adapter.onMessage = async (message, offset) => {
      try {
        await onMessage.call(adapter, message, offset);
      } catch (error) {
        failed(error);
      }
    };
  }
  if (typeof encode === 'function')
    adapter.encode = (message) => encodeWhatCanBe(message, encode.bind(adapter), leftOut);
}

type Encode = (message: Answer) => string | Buffer;

function encodeWhatCanBe(message: Answer, encode: Encode, leftOut: LeftOut): string | Buffer {
  try {
    return encode(message);
  } catch (error) {
    const sockets = message.data?.sockets;
    if (sockets === undefined) throw error;
    const data = { ...message.data, sockets: sockets.map((socket) => sendable(socket, leftOut)) };
    return encode({ ...message, data });
  }
}

async function answerFetch(adapter: Answering, message: Buffer, leftOut: LeftOut): Promise<boolean> {
  const request = JSON.parse(message.toString()) as FetchRequest;
  if (request.type !== REMOTE_FETCH) return false;
  const options = {
    rooms: new Set(request.opts?.rooms),
    except: new Set(request.opts?.except),
    flags: { local: true },
  };
  const found = await adapter.fetchSockets(options);
  const sockets = found.map((socket) => sendable(socket, leftOut));
  const { requestId } = request as { requestId?: unknown };
  adapter.publishResponse?.(request, JSON.stringify({ requestId, sockets }));
  return true;
}

function sendable({ id, handshake, rooms, data }: FetchedSocket, leftOut: LeftOut): FetchedSocket {
  const lost: string[] = [];
  const { sessionStore: _, ...shown } = handshake;
  const sent = { id, handshake: part('handshake', shown, lost), rooms: [...rooms], data: part('data', data, lost) };
  if (lost.length > 0) leftOut(id, lost);
  return sent;
}

/** The fields of an object that JSON can hold. */
function part(name: string, value: unknown, lost: string[]): object {
  if (typeof value !== 'object' || value === null) return {};
  if (isSendable(value)) return value;
  const kept: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const field = fieldOf(value, key);
    if (isSendable(field)) kept[key] = field;
    else lost.push(`${name}.${printable(key)}`);
  }
  return kept;
}

/** A getter that throws gives something that cannot be sent, too. */
function fieldOf(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return 0n;
  }
}

function isSendable(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

/** The answer of a listener of `serverSideEmit` is encoded when the listener gives it, perhaps long after the question. */
function guardListeners(adapter: Answering, failed: (error: unknown) => void): void {
  const { nsp } = adapter;
  const emit = nsp._onServerSideEmit?.bind(nsp);
  if (emit === undefined) return;
  nsp._onServerSideEmit = (args) => {
    const answer = args.at(-1);
    if (typeof answer !== 'function') return emit(args);
    const guarded = (value: unknown): void => {
      try {
        (answer as (value: unknown) => void)(value);
      } catch (error) {
        failed(error);
      }
    };
    emit([...args.slice(0, -1), guarded]);
  };
}
