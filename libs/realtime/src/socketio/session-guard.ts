import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'socket.io';
import type { Admission, Refusal } from '../connection/admission.js';
import type { Clock } from '../core/clock.js';
import { answer } from './http-refusal.js';

type SessionRequest = IncomingMessage & { readonly _query: { readonly sid?: string }; res?: ServerResponse };
type Decide = (code?: number, context?: object) => void;

/** What is used of Engine.IO's socket. */
interface EngineSession {
  readonly request: IncomingMessage;
  readonly transport: { readonly name: string; closeTimeout?: number };
  readonly readyState: string;
  readonly upgrading: boolean;
  readonly upgraded: boolean;
}

/** `verify` is private; every request passes it, before anything is made of it. */
interface VerifyingEngine {
  readonly clients: Readonly<Record<string, EngineSession | undefined>>;
  verify?(request: SessionRequest, isUpgrade: boolean, decide: Decide): void;
  on(event: 'connection', listener: (session: EngineSession) => void): unknown;
}

/**
 * Milliseconds that a closed session waits for the poll that is told so; a later one hears that the session is unknown, and its
 * client connects again all the same. Engine.IO would keep it for 30 s, also where nobody ever polled.
 */
const LAST_POLL_MS = 1_000;
/** What Engine.IO says for a session that is gone. */
const UNKNOWN_SID = 1;

/**
 * Decides on requests that name a session, which Engine.IO lets in by their `sid` alone: an id that whoever sees it could
 * take the session over with. A session that began as a WebSocket is continued by no request. A polling one is polled, and
 * upgraded once and soon, from origins that may connect, with the cookie it was opened with.
 */
export class SessionGuard {
  /** Only of polling sessions. */
  private readonly openedAt = new WeakMap<EngineSession, number>();
  /** An upgrade is being decided. */
  private readonly deciding = new WeakSet<EngineSession>();

  /** @param upgradeWithinMs milliseconds from its start in which a session may be upgraded: clients do it at once */
  constructor(
    private readonly admission: Admission,
    private readonly clock: Clock,
    private readonly upgradeWithinMs: number,
  ) {}

  /** @throws Error if Engine.IO has no such place any more: without it sessions would be open to anybody. */
  install(server: Server): void {
    const engine = server.engine as unknown as VerifyingEngine;
    const verify = engine.verify?.bind(engine);
    if (!verify)
      throw new Error('RealtimeModule cannot guard sessions: this version of engine.io has no Server.verify()');
    engine.on('connection', (session) => {
      const { transport } = session;
      if (transport.name !== 'polling') return;
      this.openedAt.set(session, this.clock.now());
      transport.closeTimeout = LAST_POLL_MS;
    });
    engine.verify = (request, isUpgrade, decide) =>
      verify(request, isUpgrade, (code, context) => {
        const { sid } = request._query;
        const session = code === undefined && sid !== undefined ? engine.clients[sid] : undefined;
        if (!session) return decide(code, context);
        void this.judge(request, session, isUpgrade).then((refusal) => {
          // The one who asked may be gone, and so may the session.
          if (request.socket.destroyed || request.res?.destroyed === true) return;
          if (refusal) answer(request, refusal);
          else if (engine.clients[sid as string] === session) decide();
          else decide(UNKNOWN_SID, { sid });
        });
      });
  }

  /** Never rejects. An answer that lets an upgrade in is true for the rest of the turn. */
  private async judge(
    request: SessionRequest,
    session: EngineSession,
    isUpgrade: boolean,
  ): Promise<Refusal | undefined> {
    const { admission } = this;
    if (!isUpgrade) return admission.continues(request, session.request);
    if (this.deciding.has(session) || !this.mayUpgrade(session)) return admission.refuseUpgrade();
    this.deciding.add(session);
    try {
      return (
        (await admission.continues(request, session.request)) ??
        (this.mayUpgrade(session) ? undefined : admission.refuseUpgrade())
      );
    } finally {
      this.deciding.delete(session);
    }
  }

  private mayUpgrade(session: EngineSession): boolean {
    const { admission, clock, upgradeWithinMs } = this;
    const openedAt = this.openedAt.get(session);
    return (
      openedAt !== undefined &&
      clock.now() - openedAt <= upgradeWithinMs &&
      session.readyState === 'open' &&
      !session.upgrading &&
      !session.upgraded &&
      !admission.isDraining
    );
  }
}
