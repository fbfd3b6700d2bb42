import { randomBytes } from 'node:crypto';
import { KILL_POINTS, type ApplyAnswer, type ApplyRequest, type KillPoint } from '../../apps/requests.gateway.js';
import { bootCluster, type Cluster, type ClusterNode } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { connectedClient } from '../../support/inbox.js';
import { startRedis } from '../../support/redis.js';
import { IS_FULL, itAtOnce } from '../../support/scale.js';
import { mintToken } from '../../support/tokens.js';
import { seeded, shuffled } from './random.js';
import { Requester, type SentRequest } from './requester.js';

const SEEDS = process.env['REALTIME_SEED']
  ? [Number(process.env['REALTIME_SEED'])]
  : Array.from({ length: IS_FULL ? 20 : 2 }, (_, index) => index + 1);
const USERS = 8;
const REQUESTS = 5;
/** A killed node is known as dead within these: short, because each kill waits for it. */
const LEASE = { leaseMs: 3_000, renewMs: 1_000, watchMs: 300 };

/** Nodes that serve and are killed, one after the other; the witness serves only who watches, and lives. */
class Site {
  readonly witness: ClusterNode;
  private workers: ClusterNode[];

  constructor(private readonly cluster: Cluster) {
    const [witness, ...workers] = cluster.nodes as [ClusterNode, ...ClusterNode[]];
    this.witness = witness;
    this.workers = workers;
  }

  /** All users send, one request of one of them kills its node; resolves when every request has been answered. */
  async round(point: KillPoint, common: ApplyRequest, random: () => number): Promise<SentRequest[]> {
    const killer = Math.floor(random() * USERS);
    const killing = Math.floor(random() * REQUESTS);
    let turn = Math.floor(random() * this.workers.length);
    const nextNode = (): ClusterNode => {
      const alive = this.workers.filter((node) => node.isRunning);
      return alive[(turn += 1) % alive.length] ?? this.witness;
    };
    const sent = await Promise.all(
      Array.from({ length: USERS }, async (_, user) => {
        await using requester = new Requester(`user ${user}`, nextNode);
        const results: SentRequest[] = [];
        for (let n = 0; n < REQUESTS; n += 1) {
          const kill = user === killer && n === killing ? point : undefined;
          results.push(await requester.request('apply', { ...common, n, kill } satisfies ApplyRequest));
        }
        return results;
      }),
    );
    await this.buryKilled();
    return sent.flat();
  }

  /** The killed worker makes room for a new one. */
  private async buryKilled(): Promise<void> {
    const killed = await eventually(() => {
      const found = this.workers.find((node) => !node.isRunning);
      if (!found) throw new Error('no worker was killed');
      return found;
    });
    await killed.kill();
    this.workers = [...this.workers.filter((node) => node !== killed), await this.cluster.add()];
  }
}

describe('when nodes are killed while requests run', () => {
  itAtOnce.each(SEEDS)(
    'runs each once, but for those in flight, and publishes each once (REALTIME_SEED=%i)',
    async (seed) => {
      await using redis = await startRedis();
      await using cluster = await bootCluster(3, {
        redisUrl: redis.url,
        keyPrefix: `${randomBytes(6).toString('hex')}:`,
        options: { cluster: LEASE },
      });
      const ledger = await redis.client();
      const site = new Site(cluster);
      const { witness } = site;
      const random = seeded(seed);
      const common = { ledger: `chaos:${seed}:${randomBytes(4).toString('hex')}`, room: `chat/requests-${seed}`, n: 0 };
      const auth = { token: mintToken('witness') };
      await using watcher = await connectedClient(`${witness.url}/requests`, { auth });
      await watcher.ask('realtime:join', { room: common.room });

      const sent: SentRequest[] = [];
      for (const point of shuffled(KILL_POINTS, random)) sent.push(...(await site.round(point, common, random)));

      expect(sent).toHaveLength(KILL_POINTS.length * USERS * REQUESTS);
      expect(await ledger.hGetAll(`${common.ledger}:hits`)).toEqual({ claim: '1', effect: '1', record: '1', ack: '1' });
      for (const { id, answer } of sent) expect(answer).toMatchObject({ id, publication: expect.any(String) });

      const attempts = new Map<string, number[]>();
      for (const run of await ledger.lRange(`${common.ledger}:runs`, 0, -1)) {
        const [id = '', attempt] = run.split(' ');
        attempts.set(id, [...(attempts.get(id) ?? []), Number(attempt)]);
      }
      expect([...attempts.keys()].sort()).toEqual(sent.map(({ id }) => id).sort());
      for (const { id, wasInterrupted } of sent) {
        // [2]: the node was killed after its claim and before the effect.
        const allowed = wasInterrupted ? ['1', '2', '1,2'] : ['1'];
        expect(allowed).toContain(attempts.get(id)?.join());
      }
      expect([...attempts.values()].some((list) => list.includes(2))).toBe(true);

      await witness.call('publish', common.room, 'applied', { request: 'fence' });
      const heard: { request: string; publication: string | undefined }[] = [];
      while (heard.at(-1)?.request !== 'fence') {
        const { args } = await watcher.inbox.next('applied');
        const [{ request }, { id }] = args as [{ request: string }, { id?: string }];
        heard.push({ request, publication: id });
      }
      const expected = sent.map(({ id, answer }) => ({
        request: id,
        publication: (answer as ApplyAnswer).publication,
      }));
      const byRequest = (a: { request: string }, b: { request: string }): number => a.request.localeCompare(b.request);
      expect(heard.slice(0, -1).sort(byRequest)).toEqual(expected.sort(byRequest));
    },
  );
});
