import type { Clock } from '../core/clock.js';
import { clusterClients } from './cluster-clients.js';
import { createNodeClient } from './node-client.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import { sentinelClients } from './sentinel-clients.js';
import type { WireClients } from './wire-client.js';

/** The clients of whatever kind of Redis the options name. */
export function createWireClients(options: ResolvedRedisOptions, clock: Clock): WireClients {
  const { sentinel, cluster } = options.address;
  if (sentinel !== undefined) return sentinelClients(options, sentinel, clock);
  if (cluster !== undefined) return clusterClients(options, cluster, clock);
  return {
    create: () => createNodeClient(options, { clock, reconnects: true }),
    watch: () => () => undefined,
  };
}

/** Host and port for messages; never a password. */
export function describeAddress(options: ResolvedRedisOptions): string {
  const { url, socket, sentinel, cluster } = options.address;
  if (url !== undefined) {
    if (url.startsWith('unix:')) return url.replace(/^unix:\/\/([^@/]*@)?/, '').replace(/\?.*$/, '');
    const { hostname, port } = new URL(url);
    return `${hostname}:${port || '6379'}`;
  }
  if (socket !== undefined) return socket.path ?? `${socket.host}:${socket.port ?? 6379}`;
  const nodes = (sentinel ?? cluster)?.nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  if (sentinel !== undefined) return `Sentinel ${sentinel.name} at ${nodes}`;
  return cluster !== undefined ? `cluster at ${nodes}` : "the app's own client";
}
