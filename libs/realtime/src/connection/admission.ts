import type { IncomingMessage, ServerResponse } from 'node:http';
import { cookieToken } from '../auth/handshake.js';
import { checkOrigin, type OriginOptions } from '../auth/origin.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { ClientAddress } from '../limits/client-address.js';
import type { SilentTransports } from '../limits/silent-transports.js';
import type { TransportLimits } from '../limits/transport-limits.js';

/** An HTTP answer in place of a transport. */
export interface Refusal {
  readonly status: 403 | 429 | 503;
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
}

export interface AdmissionDeps {
  readonly origins: OriginOptions['origins'];
  readonly trustsProxy: boolean;
  /** Name of the cookie that may carry the token. */
  readonly cookie: string | undefined;
  readonly address: ClientAddress;
  readonly limits: TransportLimits;
  readonly silent: SilentTransports;
  readonly metrics: RealtimeMetrics;
  readonly isDraining: () => boolean;
  /** Told once for each reason: the option that would let the origin in is in the text. */
  readonly onOriginRefused: (origin: string, reason: string) => void;
  /** Told of each request of an address that has too many silent transports. */
  readonly onSilenceRefused: (address: string) => void;
  /** Told of each request that a session's id alone would have let in. */
  readonly onSessionRefused: (refusal: Refusal) => void;
}

type TransportRequest = IncomingMessage & {
  res?: ServerResponse;
  _query?: Record<string, unknown>;
  [DEFERRED]?: RealtimeError;
  [RELEASE]?: () => void;
  [ADDRESS]?: string;
};

const DEFERRED = Symbol('nestjs-realtime:deferred');
const RELEASE = Symbol('nestjs-realtime:release');
const ADDRESS = Symbol('nestjs-realtime:address');
const SILENT: Omit<Refusal, 'retryAfterMs'> = {
  status: 429,
  code: 'RATE_LIMITED',
  message: 'Too many silent connections of this address',
};
/** Milliseconds after which some of them will have spoken, or ended. */
const SILENT_RETRY_MS = 5_000;
/** Stock clients wait this long or longer by themselves; ours is told. */
const OTHER_COOKIE: Refusal = { status: 403, code: 'FORBIDDEN', message: 'The session was opened with another cookie' };
const NO_UPGRADE: Refusal = { status: 403, code: 'FORBIDDEN', message: 'This session cannot be upgraded' };
const DRAINING: Refusal = { status: 503, code: 'UNAVAILABLE', message: 'Draining', retryAfterMs: 1_000 };

/**
 * Decides on the HTTP request that opens a transport, before anything is upgraded. Our client (`rt=1` in the query) is
 * let in where it can be told more than a status: its CONNECT gets the error. A stock client needs the 503 to come back.
 */
export class Admission {
  constructor(private readonly deps: AdmissionDeps) {}

  /** The answer that refuses the request; undefined lets it in, and counts its transport until its socket closes. */
  async check(request: TransportRequest): Promise<Refusal | undefined> {
    const foreign = await this.checkOrigin(request);
    if (foreign) return foreign;
    if (this.deps.isDraining() && !isOurClient(request)) return this.refuse(DRAINING);
    return this.count(request);
  }

  /**
   * The answer that refuses a request which continues the session that `opening` has opened: a poll, or the upgrade of one;
   * undefined lets it go on. It takes no place in any limit, because the session has one. The token cannot be asked for
   * again: a WebSocket's comes after its handshake, and browsers send other headers with it than with polls.
   */
  async continues(request: TransportRequest, opening: IncomingMessage): Promise<Refusal | undefined> {
    const foreign = await this.checkOrigin(request);
    if (foreign) return foreign;
    const { cookie } = this.deps;
    const own = cookieToken(opening.headers.cookie, cookie);
    if (own === undefined || own === cookieToken(request.headers.cookie, cookie)) return undefined;
    return this.refuseSession(OTHER_COOKIE);
  }

  /** The answer to the upgrade of a session that cannot have one, or not now. */
  refuseUpgrade(): Refusal {
    return this.refuseSession(this.deps.isDraining() ? DRAINING : NO_UPGRADE);
  }

  get isDraining(): boolean {
    return this.deps.isDraining();
  }

  /** The transport that this request has opened asks for its first namespace. */
  heard(request: IncomingMessage): void {
    const { silent } = this.deps;
    silent.end(request);
    silent.end(request.socket);
  }

  /** What CONNECT on this transport has to be answered, if the transport was let in only to be told. */
  static deferred(request: object): RealtimeError | undefined {
    return (request as TransportRequest)[DEFERRED];
  }

  /** The client's address as a trusted proxy gave it; undefined where the peer's own is the client's. */
  static addressOf(request: object): string | undefined {
    return (request as TransportRequest)[ADDRESS];
  }

  /** A polling transport was made of this request: it counts until the transport closes. */
  static keep(request: object, transport: { once(event: 'close', listener: () => void): unknown }): void {
    const polling = request as TransportRequest;
    if (!polling[RELEASE]) return;
    transport.once('close', polling[RELEASE]);
    delete polling[RELEASE];
  }

  private refuseSession(refusal: Refusal): Refusal {
    this.deps.onSessionRefused(refusal);
    return this.refuse(refusal);
  }

  private async checkOrigin(request: TransportRequest): Promise<Refusal | undefined> {
    const { origins, trustsProxy } = this.deps;
    const verdict = await checkOrigin(request, { origins, trustProxy: trustsProxy });
    if (verdict.allowed) return undefined;
    this.deps.onOriginRefused(String(request.headers.origin), verdict.reason);
    return this.refuse({ status: 403, code: 'FORBIDDEN', message: 'Origin not allowed' });
  }

  private count(request: TransportRequest): Refusal | undefined {
    const address = this.deps.address(request);
    if (this.deps.trustsProxy) request[ADDRESS] = address;
    if (this.deps.silent.isFull(address)) {
      this.deps.onSilenceRefused(address);
      return this.refuse({ ...SILENT, retryAfterMs: SILENT_RETRY_MS });
    }
    const admission = this.deps.limits.admit(address);
    if (admission.status !== 'accepted') {
      const { status, code, retryAfterMs } = admission;
      const isTold = status === 'deferred' && isOurClient(request);
      if (status === 'deferred' && !isTold) this.deps.limits.leave(address);
      if (!isTold) {
        return this.refuse({ status: code === 'RATE_LIMITED' ? 429 : 503, code, message: 'At capacity', retryAfterMs });
      }
      request[DEFERRED] = new RealtimeError(code, undefined, { retryAfterMs });
    }
    this.deps.metrics.transport(1);
    // Of a WebSocket not its request, which is released before its end.
    const transport = request.res ? request : request.socket;
    this.deps.silent.add(transport, address);
    this.releaseAtEnd(request, () => {
      this.deps.silent.end(transport);
      this.deps.limits.leave(address);
      this.deps.metrics.transport(-1);
    });
    return undefined;
  }

  /**
   * A WebSocket's transport lives as long as its TCP socket. A polling one has many: its count goes with the response that
   * opens it, unless `keep` has bound it to the transport by then.
   */
  private releaseAtEnd(request: TransportRequest, release: () => void): void {
    // Not by a header, which any request may have: Engine.IO gives polls their response, and upgrades none.
    if (!request.res) {
      // It closes once; `once` would cost each connection another four objects.
      request.socket.on('close', release);
      return;
    }
    request[RELEASE] = release;
    request.res.once('close', () => {
      request[RELEASE]?.();
      delete request[RELEASE];
    });
  }

  private refuse(refusal: Refusal): Refusal {
    this.deps.metrics.handshakeRejected(refusal.code);
    return refusal;
  }
}

function isOurClient(request: TransportRequest): boolean {
  return request._query?.['rt'] === '1';
}
