import { userRoom } from 'nestjs-realtime-protocol';
import type { CommandLog } from '../cluster/command-log.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { NodePresence } from '../presence/node-presence.js';
import type { Connection } from './connection.js';

export interface TransportSlotsOptions {
  /** Most transports of a user in the whole cluster; 0: no limit. */
  readonly max: number;
  readonly onFull: 'reject' | 'evict-oldest';
  readonly whenUnavailable: 'allow' | 'reject';
}

/**
 * One entry for each user and transport in the user's own room: what `isOnline` reads and what the limit counts.
 * The store decides atomically for the cluster; a dead node's entries go with its lease.
 */
export class TransportSlots {
  /** `entered` is there while it is decided whether the transport may stay. */
  private readonly held = new Map<string, { connections: number; entered: Promise<void> | undefined }>();

  constructor(
    private readonly presence: NodePresence,
    private readonly commands: CommandLog,
    private readonly options: TransportSlotsOptions,
    private readonly metrics: RealtimeMetrics,
    /** False: the engine is away, and nobody should wait for it. */
    private readonly isEngineUp: () => boolean,
  ) {}

  /** @throws RealtimeError `LIMIT_EXCEEDED` if the user has too many transports already. */
  async take(connection: Connection): Promise<void> {
    const key = keyOf(connection);
    let slot = this.held.get(key);
    if (!slot) this.held.set(key, (slot = { connections: 0, entered: this.enter(connection) }));
    slot.connections += 1;
    try {
      await slot.entered;
      slot.entered = undefined;
    } catch (error) {
      this.forget(key);
      throw error;
    }
  }

  release(connection: Connection): void {
    if (!this.forget(keyOf(connection))) return;
    const { principal, link } = connection;
    this.presence
      .leave(userRoom(principal.id), { userId: principal.id, connectionId: link.transportId })
      .catch(() => this.metrics.dropped('presence-leave'));
  }

  private async enter(connection: Connection): Promise<void> {
    const { principal, link, device } = connection;
    const { max, onFull, whenUnavailable } = this.options;
    const entered = this.presence.enter(
      userRoom(principal.id),
      { userId: principal.id, connectionId: link.transportId, device },
      {
        maxPerUser: max,
        onFull,
        replaceDevice: max > 0,
        whenUnavailable: whenUnavailable === 'allow' ? 'keep' : 'refuse',
      },
    );
    if (!this.isEngineUp() && whenUnavailable === 'allow') {
      entered.catch(() => this.metrics.dropped('presence-enter'));
      return this.metrics.dropped('user-limit-unchecked');
    }
    const result = await entered;
    if (result.status === 'full') throw new RealtimeError('LIMIT_EXCEEDED', `At most ${max} connections for a user`);
    if (result.status === 'kept') return this.metrics.dropped('user-limit-unchecked');
    for (const { connectionId } of result.evicted) this.evict(connectionId);
  }

  private evict(transportId: string): void {
    this.commands
      .append({ kind: 'disconnect', transportId, code: 'LIMIT_EXCEEDED', reason: 'Replaced by a newer connection' })
      .catch(() => this.metrics.dropped('eviction'));
  }

  /** True if nothing holds the slot any more. */
  private forget(key: string): boolean {
    const slot = this.held.get(key);
    if (!slot) return false;
    slot.connections -= 1;
    if (slot.connections === 0) this.held.delete(key);
    return slot.connections === 0;
  }
}

function keyOf({ link, principal }: Connection): string {
  return `${link.transportId} ${principal.id}`;
}
