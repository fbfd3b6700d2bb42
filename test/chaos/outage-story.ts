import { randomBytes } from 'node:crypto';
import { CLUSTER_TIMES, LEAVE_GRACE_MS, bootCluster, type Cluster, type ClusterNode } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import type { StockClient } from '../support/inbox.js';
import { lasting } from '../support/lasting.js';
import { PresenceStory } from '../support/presence-story.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { Samples } from '../support/samples.js';
import { IS_FULL } from '../support/scale.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { probe, type ProbeAnswer } from './probes.js';
import { Tabs, connect, type Tab } from './tabs.js';
import { Ticks, echoesBeforeAnswer } from './ticks.js';
import { Traffic } from './traffic.js';

const ROOM = 'chat/outage';
const TICK_MS = 200;
/** At least a lease: when Redis is back, every lease that it may remember has lapsed. */
const OUTAGE_MS = IS_FULL ? 25_000 : CLUSTER_TIMES.leaseMs;
/** A hung Redis is noticed soon. A command is refused within the outage, and outlives five seconds in which a node does nothing. */
const REDIS_TIMES = IS_FULL ? {} : { probeIntervalMs: 1_000, probeTimeoutMs: 2_000, commandTimeoutMs: 6_000 };
/** Long enough for the straggler's reconnect and five seconds more, and over before anybody judges a node again. */
const PRESENCE = IS_FULL ? {} : { leaveGraceMs: LEAVE_GRACE_MS, settleMs: CLUSTER_TIMES.leaseMs - 1_000 };

export interface Outage {
  begin(redis: TestRedis): Promise<void>;
  end(redis: TestRedis): Promise<void>;
}

/**
 * Two nodes, and a straggler that finds Redis later than they do, before, during and after one outage. It waits for what
 * has to happen, and writes down everything that its spec judges.
 */
export class OutageStory implements AsyncDisposable {
  readonly tabs = new Tabs();
  ticks: Ticks[] = [];
  senders: Traffic[] = [];
  cluster!: Cluster;
  ready!: Samples<ProbeAnswer[]>;
  live!: Samples<ProbeAnswer[]>;
  /** For each tab, while Redis is away: whether what its node emitted came before the node's answer. */
  echoes: boolean[] = [];
  newcomersJoin: unknown;
  /** Announcements since Redis went away, until it was back. */
  announcedMeanwhile: string[] = [];
  /** A node that started after the outage lets in who was revoked before it, or refuses with this. */
  thief: unknown;
  /** `performance.now()` of what happened. */
  readonly at = { away: 0, degraded: 0, back: 0, up: 0, whole: 0, published: 0 };
  private nodes: ClusterNode[] = [];
  private readonly parts: AsyncDisposable[] = [this.tabs];
  private redis!: TestRedis;
  private link!: TcpProxy;
  private leaver!: Tab;
  private newcomer!: StockClient;
  private since = { diffs: [] as number[], changes: 0 };

  private constructor(private readonly outage: Outage) {}

  static async of(outage: Outage): Promise<OutageStory> {
    const story = new OutageStory(outage);
    try {
      await story.boot();
      await story.populate();
      await story.beginTraffic();
      await story.loseRedis();
      await story.liveWithoutIt();
      await story.findItAgain();
      await story.becomeWhole();
      await story.judgeAnotherNode();
      await story.endTraffic();
      return story;
    } catch (error) {
      await story[Symbol.asyncDispose]().catch(() => undefined);
      throw error;
    }
  }

  /** Joins and leaves that clients or `PresenceService.changes` have told since Redis went away, as strings. */
  announced(): string[] {
    const told = this.tabs.all.flatMap(({ user, node, story }, index) =>
      story.diffs
        .slice(this.since.diffs[index])
        .flatMap(({ join = [], leave = [] }) => [
          ...join.map(({ id }) => `join ${id}`),
          ...leave.map((id) => `leave ${id}`),
        ])
        .map((change) => `${change} to ${user} on ${node.id}`),
    );
    const changes = this.cluster.changes
      .slice(this.since.changes)
      .filter(({ type }) => type !== 'update')
      .map(({ type, userId, node }) => `${type} ${userId} by ${node}`);
    return [...told, ...changes];
  }

  /** How often a node was seen to lose Redis: once, and once more for each time that Redis itself was late. */
  timesDegraded(index: number): number {
    const states = this.ready.all.map(({ value }) => value[index]?.redis);
    return states.filter((state, at) => state === 'degraded' && states[at - 1] !== 'degraded').length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const sender of this.senders) sender[Symbol.dispose]();
    this.live?.[Symbol.dispose]();
    this.ready?.[Symbol.dispose]();
    for (const part of this.parts.splice(0).reverse()) await part[Symbol.asyncDispose]();
  }

  private async boot(): Promise<void> {
    this.redis = this.use(await startRedis());
    this.link = this.use(await startTcpProxy({ port: this.redis.port }));
    const options = { cluster: CLUSTER_TIMES, presence: PRESENCE, redis: REDIS_TIMES };
    const keyPrefix = `${randomBytes(6).toString('hex')}:`;
    this.cluster = this.use(await bootCluster(2, { redisUrl: this.redis.url, keyPrefix, options }));
    await this.cluster.add({ redis: { ...REDIS_TIMES, url: `redis://127.0.0.1:${this.link.port}` } });
    this.nodes = [...this.cluster.nodes];
  }

  private async populate(): Promise<void> {
    const { tabs, nodes } = this;
    for (const [index, node] of nodes.entries()) {
      await tabs.open(node, `user-${index}a`, ROOM);
      await tabs.open(node, `user-${index}b`, ROOM);
    }
    await tabs.open(nodes[0]!, 'two-tabs', ROOM);
    await tabs.open(nodes[1]!, 'two-tabs', ROOM);
    await eventually(() => {
      for (const { story } of tabs.all) {
        expect(story.users).toEqual(this.users);
        expect(story.devicesOf('two-tabs')).toBe(2);
      }
    });
    // A user whose connection does not live through the outage.
    this.leaver = await tabs.open(nodes[2]!, 'zz-leaver', ROOM);
    tabs.all.pop();
    this.parts.push(this.leaver.client);
    await this.everyTab(({ story }) => expect(story.users).toContain('zz-leaver'));
  }

  private async beginTraffic(): Promise<void> {
    const { nodes, tabs } = this;
    this.live = new Samples(100, () => Promise.all(nodes.map(({ url }) => probe(url, '/health/live'))));
    this.ready = new Samples(100, () => Promise.all(nodes.map(({ url }) => probe(url, '/health/ready'))));
    this.ticks = tabs.all.map((tab) => new Ticks(tab));
    await Promise.all(nodes.map((node) => node.call('startTicks', ROOM, TICK_MS)));
    this.senders = [0, 2, 4].map((index) => new Traffic(tabs.all[index]!.client, 'chat/traffic', TICK_MS));
    await eventually(() => nodes[0]!.call('revoke', { tokenId: 'stolen' }));
    await eventually(() => this.ticks.forEach(({ own }) => expect(own.length).toBeGreaterThan(3)));
    await eventually(() => expect(this.ready.last?.map(({ redis }) => redis)).toEqual(['up', 'up', 'up']));
    await this.cluster.settled();
    this.since = { diffs: tabs.all.map(({ story }) => story.diffs.length), changes: this.cluster.changes.length };
  }

  private async loseRedis(): Promise<void> {
    this.at.away = performance.now();
    await this.outage.begin(this.redis);
    this.at.degraded = await this.sampled(this.at.away, 'degraded');
  }

  private async liveWithoutIt(): Promise<void> {
    const over = lasting(OUTAGE_MS);
    this.leaver.client.socket.disconnect();
    this.newcomer = this.use(await connect(this.nodes[1]!, 'zz-newcomer'));
    this.newcomersJoin = await this.newcomer.ask('realtime:join', { room: ROOM });
    for (const { client } of this.tabs.all) this.echoes.push(await echoesBeforeAnswer(client, ROOM));
    await over;
    await this.cluster.settled();
    this.announcedMeanwhile = this.announced();
  }

  /** Not all nodes together: what the first ones find must not be told as truth about the last one. */
  private async findItAgain(): Promise<void> {
    this.link.cut();
    await this.outage.end(this.redis);
    const from = performance.now();
    await eventually(() => {
      const sample = this.ready.first(from, ([one, two]) => one?.redis === 'up' && two?.redis === 'up');
      expect(sample).toBeDefined();
    });
    this.link.heal();
    this.at.back = performance.now();
    this.at.up = await this.sampled(this.at.back, 'up');
  }

  private async becomeWhole(): Promise<void> {
    const { nodes, tabs, users } = this;
    for (const node of nodes) {
      await eventually(async () => expect((await node.call('list', ROOM)).map(({ id }) => id)).toEqual(users));
    }
    await this.everyTab(({ story }) => expect(story.users).toEqual(users));
    for (const user of [...users, 'zz-newcomer']) {
      await eventually(async () => expect(await nodes[2]!.call('isOnline', user)).toEqual({ online: true }));
    }
    this.at.whole = performance.now();
    const sent = new Set<unknown>();
    await eventually(async () => {
      const text = randomBytes(6).toString('hex');
      sent.add(text);
      expect(await tabs.all[0]!.client.ask('message.send', { room: ROOM, text })).not.toHaveProperty('error');
      for (const { client } of tabs.all) {
        const texts = client.inbox.all.flatMap(({ event, args }) => (event === 'message' ? args : []));
        expect(texts.some((data) => sent.has((data as { text?: unknown }).text))).toBe(true);
      }
    });
    this.at.published = performance.now();
  }

  /**
   * A node that starts now and dies: when the others say that it is gone, they judge leases again, and a leave that the
   * outage could still bring has been announced.
   */
  private async judgeAnotherNode(): Promise<void> {
    const late = await this.cluster.add();
    this.thief = await connect(late, 'thief', { jti: 'stolen' }).catch((refusal: unknown) => refusal);
    await this.tabs.open(late, 'zz-mortal', ROOM);
    const mortal = this.tabs.all.pop()!;
    this.parts.push(mortal.client);
    await this.everyTab(({ story }) => expect(story.users).toContain('zz-mortal'));
    await late.kill();
    await this.everyTab(({ story }) => expect(story.users).not.toContain('zz-mortal'));
    await eventually(() => PresenceStory.join(this.newcomer, ROOM));
    await this.everyTab(({ story }) => expect(story.users).toContain('zz-newcomer'));
  }

  private async endTraffic(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.call('stopTicks', ROOM)));
    for (const sender of this.senders) sender[Symbol.dispose]();
    await eventually(() => this.senders.forEach(({ sent, answers }) => expect(answers).toHaveLength(sent)));
    await this.cluster.settled();
  }

  /** When readiness of all nodes was first asked with this as the answer. */
  private async sampled(sinceMs: number, state: string): Promise<number> {
    return eventually(() => {
      const sample = this.ready.first(sinceMs, (answers) => answers.every(({ redis }) => redis === state));
      if (!sample) throw new Error(`nodes say ${JSON.stringify(this.ready.last)}, awaited: ${state}`);
      return sample.atMs;
    });
  }

  private get users(): string[] {
    return [...new Set(this.tabs.all.map(({ user }) => user))].sort();
  }

  private everyTab(assertion: (tab: Tab) => void): Promise<void> {
    return eventually(() => this.tabs.all.forEach(assertion));
  }

  private use<T extends AsyncDisposable>(part: T): T {
    this.parts.push(part);
    return part;
  }
}
