import type { Burial, LeaseLook, LeaseRenewal, NodeLeases, NodeRecord } from '../cluster/node-leases.js';
import { randomId, type Incarnation, type NodeId } from '../core/ids.js';
import { NODES_TAG } from './key-names.js';
import { loadScript } from './load-script.js';
import type { ScriptRunner } from './script-runner.js';

const LEASE = loadScript('lease');
const RELEASE = loadScript('lease-release');
const ALIVE = loadScript('lease-alive');
const BURY = loadScript('lease-bury');
const BURIALS: readonly Burial[] = ['unchanged', 'dead', 'forgotten'];

type LeaseReply = [serverId: string, status: 'held' | 'lost' | 'look', epoch: string, offset: number, lapsed: string[]];

/**
 * Leases in one slot of Redis beside the command log, so that one script answers for both. Refuses to know a
 * node's clock: only Redis' `TIME` counts. Errors: `UNAVAILABLE` when Redis is away. ACL: needs `+info`.
 */
export class RedisNodeLeases implements NodeLeases {
  readonly #redis: ScriptRunner;
  readonly #keys: readonly string[];
  readonly #metaKey: string;

  constructor(redis: ScriptRunner, tag = NODES_TAG) {
    this.#redis = redis;
    this.#keys = ['leases', 'ids', 'dead', 'sweep'].map((name) => `${redis.keyPrefix}${tag}:${name}`);
    this.#metaKey = `${redis.keyPrefix}${tag}:log:meta`;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async renew(node: NodeRecord, leaseMs: number): Promise<LeaseRenewal> {
    const reply = await this.#lease([node.incarnation, node.nodeId, String(leaseMs)]);
    return { ...toLook(reply), status: reply[1] === 'held' ? 'held' : 'lost' };
  }

  async look(): Promise<LeaseLook> {
    return toLook(await this.#lease(['', '', '0']));
  }

  async release(incarnation: Incarnation, inMs: number): Promise<void> {
    await this.#redis.run(RELEASE, this.#keys.slice(0, 1), [incarnation, String(inMs)]);
  }

  async alive(): Promise<NodeRecord[]> {
    const flat = (await this.#redis.run(ALIVE, this.#keys.slice(0, 2), [])) as string[];
    const records: NodeRecord[] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) {
      records.push({ incarnation: flat[i] as Incarnation, nodeId: flat[i + 1] as NodeId });
    }
    return records;
  }

  async bury(incarnation: Incarnation, sweepAgainMs: number): Promise<Burial> {
    const reply = await this.#redis.run(BURY, this.#keys, [incarnation, String(sweepAgainMs)]);
    return BURIALS[Number(reply)] ?? 'unchanged';
  }

  async #lease(args: readonly string[]): Promise<LeaseReply> {
    return (await this.#redis.run(LEASE, [...this.#keys, this.#metaKey], [...args, randomId(9)])) as LeaseReply;
  }
}

function toLook([serverId, , epoch, offset, lapsed]: LeaseReply): LeaseLook {
  return { serverId, commands: { epoch, offset }, lapsed: lapsed as Incarnation[] };
}
