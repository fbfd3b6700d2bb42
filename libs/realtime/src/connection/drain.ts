import { SERVER_EVENTS, type DrainNotice } from 'nestjs-realtime-protocol';
import type { Clock } from '../core/clock.js';
import type { RoomMember } from '../rooms/room-member.js';
import type { RoomRegistry } from '../rooms/room-registry.js';

export interface DrainDeps {
  readonly registry: RoomRegistry;
  readonly clock: Clock;
  /** Milliseconds over which the connections are handed over. 0: all at once. */
  readonly windowMs: number;
  readonly random?: () => number;
}

/** Connections are closed in steps of this many milliseconds, so that other nodes see an even stream of newcomers. */
const STEP_MS = 50;
/** Each client waits up to this long by itself before it connects elsewhere. */
const MAX_RECONNECT_MS = 1_000;

/**
 * Hands the connections of this node over: evenly over the window, each is told and its transport is closed, so that stock
 * clients come back by themselves. Does not stop new ones: `isDraining` does.
 */
export class Drain {
  private running: Promise<void> | undefined;

  constructor(private readonly deps: DrainDeps) {}

  /** Resolves when every connection that was there has been told. Several calls are one drain. */
  run(): Promise<void> {
    this.running ??= this.handOver([...this.deps.registry.all()]);
    return this.running;
  }

  private async handOver(members: RoomMember[]): Promise<void> {
    const { clock, windowMs } = this.deps;
    const steps = Math.max(1, Math.floor(windowMs / STEP_MS));
    const perStep = Math.ceil(members.length / steps);
    for (let from = 0; from < members.length; from += perStep) {
      for (const member of members.slice(from, from + perStep)) this.close(member);
      if (from + perStep < members.length) await new Promise<void>((resolve) => clock.after(STEP_MS, resolve));
    }
  }

  private close({ link }: RoomMember): void {
    if (!link.isOpen) return;
    const random = this.deps.random ?? Math.random;
    const reconnectAfterMs = Math.floor(random() * MAX_RECONNECT_MS);
    link.emit(SERVER_EVENTS.drain, { reconnectAfterMs, reason: 'drain' } satisfies DrainNotice);
    link.closeTransport();
  }
}
