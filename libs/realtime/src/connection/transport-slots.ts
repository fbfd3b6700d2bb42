import { userRoom } from 'nestjs-realtime-protocol';
import type { CommandLog } from '../cluster/command-log.js';
import type { RealtimeLogger } from '../core/logger.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { NodePresence } from '../presence/node-presence.js';
import type { Connection } from './connection.js';

export interface TransportSlotsOptions {
  /** Most transports of a user in the whole cluster; 0: no limit. */
  readonly max: number;
  readonly onFull: 'reject' | 'evict-oldest';
  readonly whenUnavailable: 'allow' | 'reject';
  /** A transport with the device label of one that the user has already ends that one. */
  readonly replaceDevice: boolean;
}

export interface TransportSlotsDeps {
  readonly presence: NodePresence;
  readonly commands: CommandLog;
  readonly metrics: RealtimeMetrics;
  readonly logger: Pick<RealtimeLogger, 'warn'>;
  /** False: the engine is away, and nobody should wait for it. */
  readonly isEngineUp: () => boolean;
}

/** More transports of one user than people have: worth a word where there is no limit. */
const MANY_TRANSPORTS = 256;

/**
 * One entry for each user and transport in the user's own room: what `isOnline` reads and what the limit counts.
 * The store decides atomically for the cluster; a dead node's entries go with its lease.
 */
export class TransportSlots {
  /** `entered` is there while it is decided whether the transport may stay. */
  private readonly held = new Map<string, { connections: number; entered: Promise<void> | undefined }>();

  private hasWarned = false;

  constructor(
    private readonly deps: TransportSlotsDeps,
    private readonly options: TransportSlotsOptions,
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
    this.deps.presence
      .leave(userRoom(principal.id), { userId: principal.id, connectionId: link.transportId })
      .catch(() => this.deps.metrics.dropped('presence-leave'));
  }

  private async enter(connection: Connection): Promise<void> {
    const { principal, link, device } = connection;
    const { max, onFull, whenUnavailable, replaceDevice } = this.options;
    const entered = this.deps.presence.enter(
      userRoom(principal.id),
      // A label is kept only where it is compared.
      { userId: principal.id, connectionId: link.transportId, device: replaceDevice ? device : '' },
      { maxPerUser: max, onFull, replaceDevice, whenUnavailable: whenUnavailable === 'allow' ? 'keep' : 'refuse' },
    );
    if (!this.deps.isEngineUp() && whenUnavailable === 'allow') {
      entered.catch(() => this.deps.metrics.dropped('presence-enter'));
      return this.deps.metrics.dropped('user-limit-unchecked');
    }
    const result = await entered;
    if (result.status === 'full') throw new RealtimeError('LIMIT_EXCEEDED', `At most ${max} connections for a user`);
    if (result.status === 'kept') return this.deps.metrics.dropped('user-limit-unchecked');
    for (const { connectionId } of result.evicted) this.evict(connectionId);
    if (max === 0 && result.connections > MANY_TRANSPORTS) this.warn(principal.id);
  }

  /** Once: the others would say nothing new. */
  private warn(userId: string): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.deps.logger.warn(
      `User ${JSON.stringify(userId.slice(0, 64))} has more than ${MANY_TRANSPORTS} connections, and nothing limits them: ` +
        'set limits.transportsPerUser.max',
    );
  }

  private evict(transportId: string): void {
    this.deps.commands
      .append({ kind: 'disconnect', transportId, code: 'LIMIT_EXCEEDED', reason: 'Replaced by a newer connection' })
      .catch(() => this.deps.metrics.dropped('eviction'));
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
