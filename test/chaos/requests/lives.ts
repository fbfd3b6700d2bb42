import { eventually } from '../../support/eventually.js';
import type { ClusterNode } from '../../support/cluster.js';
import type { TestRedisClient } from '../../support/redis.js';
import type { NodeLoss } from './history.js';

/**
 * Nodes that lost their lease and live on: such a node takes a new incarnation, and registers it. It happens to a machine that
 * stands still for longer than a lease, and then requests may run once more, as after a kill.
 */
export class Lives {
  private readonly incarnations = new Map<string, string>();
  private lookedAt = Date.now();

  constructor(
    private readonly redis: TestRedisClient,
    private readonly keyPrefix: string,
  ) {}

  /** Of these nodes, since the last look. One that was not known then has lost nothing. */
  async lapses(nodes: readonly ClusterNode[]): Promise<NodeLoss[]> {
    const from = this.lookedAt;
    const running = nodes.filter((node) => node.isRunning);
    const now = await eventually(() => this.look(running));
    this.lookedAt = Date.now();
    return running.flatMap(({ id }) => {
      const before = this.incarnations.get(id);
      this.incarnations.set(id, now.get(id)!);
      return before === undefined || before === now.get(id) ? [] : [{ node: id, from, until: this.lookedAt }];
    });
  }

  /** Of each node; one that lost its lease may have two, until the old one is buried. */
  private async look(nodes: readonly ClusterNode[]): Promise<Map<string, string>> {
    const ids = Object.entries(await this.redis.hGetAll(`${this.keyPrefix}{#nodes}:ids`));
    const found = new Map<string, string>();
    for (const { id } of nodes) {
      const own = ids.filter(([, nodeId]) => nodeId === id).map(([incarnation]) => incarnation);
      if (own.length === 0) throw new Error(`${id} has no lease; there are ${JSON.stringify(ids)}`);
      found.set(id, own.sort().join());
    }
    return found;
  }
}
