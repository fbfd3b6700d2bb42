import type { Clock } from '../core/clock.js';
import { ClusterCommands } from './cluster-commands.js';
import { ClusterSubscriber } from './cluster-subscriber.js';
import { ClusterTopology } from './cluster-topology.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import type { WireClients } from './wire-client.js';

/** Clients of one Redis Cluster, which share what is known of its slots. */
export function clusterClients(
  options: ResolvedRedisOptions,
  { nodes }: NonNullable<ResolvedRedisOptions['address']['cluster']>,
  clock: Clock,
): WireClients {
  const topology = new ClusterTopology(options, nodes, clock);
  return {
    create: (role) =>
      role === 'commands'
        ? new ClusterCommands(options, topology, clock)
        : new ClusterSubscriber(options, topology, clock),
    // Each client follows the topology by itself.
    watch: () => () => undefined,
  };
}
