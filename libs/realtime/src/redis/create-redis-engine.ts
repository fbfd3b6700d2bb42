import { Logger } from '@nestjs/common';
import type { CommandLogOptions } from '../cluster/command-log.js';
import type { Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import type { RequestStoreOptions } from '../requests/request-store.js';
import { OLDER_NODES_TAG } from './key-names.js';
import { RedisBus } from './redis-bus.js';
import { RedisCommandLog } from './redis-command-log.js';
import { RedisConnection } from './redis-connection.js';
import { RedisNodeLeases } from './redis-node-leases.js';
import type { RedisOptions } from './redis-options.js';
import { RedisPresenceStore } from './redis-presence-store.js';
import { RedisRateStore } from './redis-rate-store.js';
import { RedisRequestStore } from './redis-request-store.js';
import { RedisRoomLog } from './redis-room-log.js';
import { createRedisAdapter } from './redis-adapter.js';

interface RedisEngineDeps {
  readonly clock: Clock;
  readonly metrics: RealtimeMetrics;
  readonly commandLog: CommandLogOptions;
  readonly requests: RequestStoreOptions;
}

/** Everything in one Redis: a connection for commands, one for subscriptions, and those of the Socket.IO adapter. */
export function createRedisEngine(options: RedisOptions, { clock, metrics, commandLog, requests }: RedisEngineDeps) {
  const connection = new RedisConnection(options, { clock, metrics, logger: new Logger('Realtime') });
  const bus = new RedisBus(connection);
  const adapter = createRedisAdapter(connection);
  const commands = new RedisCommandLog(connection, commandLog);
  return {
    kind: 'redis' as const,
    bus,
    commands,
    older: { commands: commands.older, leases: new RedisNodeLeases(connection, OLDER_NODES_TAG) },
    leases: new RedisNodeLeases(connection),
    presence: new RedisPresenceStore(connection),
    rates: new RedisRateStore(connection),
    requests: new RedisRequestStore(connection, requests),
    log: new RedisRoomLog(connection, connection.options.maxMessageBytes),
    socketIoAdapter: adapter.factory,
    get isRefused() {
      return connection.refusals.isRefused;
    },
    untilServed: (task: Promise<unknown>) => connection.refusals.untilServed(task),
    /** Rejects only with `required`: otherwise the node runs degraded until Redis is there. */
    async ready(): Promise<void> {
      await connection.ready();
      if (connection.isUp) await connection.refusals.untilServed(bus.ready());
    },
    async close(): Promise<void> {
      await bus.close();
      await adapter.close();
      await connection.close();
    },
  };
}
