import type { CommandLogOptions } from '../cluster/command-log.js';
import type { Clock } from '../core/clock.js';
import { MemoryBus } from './memory-bus.js';
import { MemoryCommandLog } from './memory-command-log.js';
import { MemoryNodeLeases } from './memory-node-leases.js';
import type { RequestStoreOptions } from '../requests/request-store.js';
import { MemoryPresenceStore } from './memory-presence-store.js';
import { MemoryRateStore } from './memory-rate-store.js';
import { MemoryRequestStore } from './memory-request-store.js';
import { MemoryRoomLog } from './memory-room-log.js';

export interface MemoryEngineDeps {
  readonly clock: Clock;
  readonly commandLog: CommandLogOptions;
  readonly requests: RequestStoreOptions;
}

/** Everything in this process: one node, nothing survives it. */
export function createMemoryEngine({ clock, commandLog, requests }: MemoryEngineDeps) {
  const bus = new MemoryBus();
  const commands = new MemoryCommandLog(bus, commandLog, clock);
  return {
    kind: 'memory' as const,
    bus,
    commands,
    older: undefined,
    leases: new MemoryNodeLeases(commands, clock),
    presence: new MemoryPresenceStore({ clock, publish: (channel, payload) => void bus.publish(channel, payload) }),
    rates: new MemoryRateStore(clock),
    requests: new MemoryRequestStore(requests, clock),
    log: new MemoryRoomLog(bus, clock),
    socketIoAdapter: undefined,
    isRefused: false,
    untilServed: async (task: Promise<unknown>) => void (await task),
    ready: () => bus.ready(),
    close: () => bus.close(),
  };
}
