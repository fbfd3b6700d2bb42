import { randomBytes } from 'node:crypto';
import { bootCluster, type Cluster } from '../../support/cluster.js';
import { GENEROUS_MS, eventually } from '../../support/eventually.js';
import { startRedis, type TestRedis } from '../../support/redis.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { Crowd } from './crowd.js';
import type { Listener } from './listener.js';
import { outcomeOf } from './member.js';
import { LogReader } from './log-reader.js';
import { describeRoom, violations, type ToldEvent, type SentPublication } from './room-history.js';

const ROOMS = ['exact/failover-1', 'exact/failover-2'];
const MEMBERS = ['stays-1', 'stays-2', 'at-the-fork', 'before-it', 'beyond-it'] as const;
type Member = (typeof MEMBERS)[number];
const MAX_RECOVERED = 300;

/** Two nodes at an address behind which one server after the other is the master, and members of each room on both. */
class Site implements AsyncDisposable {
  readonly keyPrefix = `${randomBytes(6).toString('hex')}:`;
  readonly sent = new Map<string, SentPublication[]>(ROOMS.map((room) => [room, []]));
  readonly members = new Map<Member, Listener>();
  cluster!: Cluster;
  link!: TcpProxy;
  replica!: TestRedis;
  private readonly crowd = new Crowd();
  private readonly parts: AsyncDisposable[] = [];
  private address!: { port: number };
  private front!: TcpProxy;

  private constructor(public master: TestRedis) {
    this.parts.push(master);
  }

  static async open(): Promise<Site> {
    const site = new Site(await startRedis());
    site.address = { port: site.master.port };
    site.front = site.use(await startTcpProxy(site.address));
    await site.replicate();
    const redisUrl = `redis://127.0.0.1:${site.front.port}`;
    site.cluster = site.use(await bootCluster(2, { redisUrl, keyPrefix: site.keyPrefix }));
    for (const [index, user] of MEMBERS.entries()) {
      const { url } = site.cluster.nodes[index % 2]!;
      site.members.set(user, site.crowd.add({ user, rooms: ROOMS, url: () => url, random: Math.random }));
    }
    await eventually(() => expect(site.offsets()).toEqual(MEMBERS.map(() => [0, 0])));
    return site;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.crowd[Symbol.dispose]();
    for (const part of this.parts.reverse()) await part[Symbol.asyncDispose]();
  }

  member(name: Member): Listener {
    return this.members.get(name)!;
  }

  offsets(): (number | undefined)[][] {
    return [...this.members.values()].map((member) => ROOMS.map((room) => member.position(room)?.offset));
  }

  /** So many more to each room, from both nodes in turn, each acknowledged before the next. */
  async publish(count: number): Promise<void> {
    for (const room of ROOMS) {
      for (let index = 0; index < count; index += 1) await this.publishOne(room);
    }
  }

  /** Everybody who is connected has heard all that `sent` says is in the log. */
  async heard(end: number, ...members: readonly Member[]): Promise<void> {
    const wanted = members.map(() => ROOMS.map(() => end));
    const offsets = (): unknown => members.map((name) => ROOMS.map((room) => this.member(name).position(room)?.offset));
    await eventually(() => expect(offsets()).toEqual(wanted));
  }

  async replicated(): Promise<void> {
    const client = await this.master.client();
    expect(await client.wait(1, GENEROUS_MS)).toBe(1);
  }

  /** SIGKILL of the master; its replica takes its place, at the same address. */
  async failOver(): Promise<void> {
    const { master, replica } = this;
    await master.stop();
    await (await replica.client()).sendCommand(['REPLICAOF', 'NO', 'ONE']);
    this.address.port = replica.port;
    this.master = replica;
  }

  /** A new replica of the present master, over a link that may be stalled. */
  async replicate(): Promise<void> {
    this.link = this.use(await startTcpProxy({ port: this.master.port }));
    this.replica = this.use(await startRedis({ replicaOf: this.link.port }));
    const client = await this.replica.client();
    await eventually(async () => expect(await client.info('replication')).toContain('master_link_status:up'));
  }

  /** The room as it is now, judged. */
  async verdict(room: string, lost: ReadonlySet<string>): Promise<string[]> {
    using reader = new LogReader(await this.master.client(), this.keyPrefix, ROOMS);
    const log = (await reader.finish()).get(room)!;
    const sent = this.sent
      .get(room)!
      .map((one): SentPublication => (lost.has(one.name) ? { ...one, outcome: { status: 'unknown' } } : one));
    const hearings = [...this.members].map(([member, { heard }]) => ({ member, events: heard.get(room) ?? [] }));
    const history = { room, recoverable: MAX_RECOVERED, log, sent, hearings };
    const found = violations(history);
    if (found.length > 0) console.error(`${found.join('\n')}\n${describeRoom(history)}`);
    return [...found, ...[...this.members.values()].flatMap(({ malformed }) => malformed)];
  }

  private use<T extends AsyncDisposable>(part: T): T {
    this.parts.push(part);
    return part;
  }

  private async publishOne(room: string): Promise<void> {
    const sent = this.sent.get(room)!;
    for (;;) {
      const node = this.cluster.nodes[sent.length % 2]!;
      const name = `${node.id} to ${room}/${sent.length}`;
      const reply = await node.call('publish', room, 'message', { name }).catch(() => undefined);
      const outcome = reply ? outcomeOf(reply) : ({ status: 'unknown' } as const);
      sent.push({ name, publisher: node.id, n: sent.length, outcome });
      if (reply) return;
    }
  }
}

function told(member: Listener, room: string): ToldEvent[] {
  return (member.heard.get(room) ?? []).flatMap((event) => (event.kind === 'told' ? [event] : []));
}

/** Two payloads that anybody holds for one position. */
function ambiguous(members: Iterable<Listener>, room: string): string[] {
  const payloads = new Map<string, string>();
  const found: string[] = [];
  const hold = (epoch: string, offset: number, name: string): void => {
    const at = `${epoch}/${offset}`;
    const other = payloads.get(at) ?? name;
    if (other !== name) found.push(`${at} is ${other} and ${name}`);
    payloads.set(at, other);
  };
  for (const { heard } of members) {
    for (const event of heard.get(room) ?? []) {
      const { epoch, offset } = event.position;
      if (event.kind === 'message') hold(epoch, offset, event.name);
      if (event.kind === 'recovered') event.publications.forEach((one) => hold(epoch, one.offset, one.name));
    }
  }
  return found;
}

describe('when the master dies and its replica takes its place', () => {
  it.concurrent('tells those who heard what is lost, and nobody else', async () => {
    await using site = await Site.open();
    const { members } = site;
    const stay = ['stays-1', 'stays-2'] as const;

    await site.publish(6);
    await site.heard(6, ...MEMBERS);
    site.member('before-it').leave();
    await site.publish(4);
    await site.heard(10, 'stays-1', 'stays-2', 'at-the-fork', 'beyond-it');
    site.member('at-the-fork').leave();
    await site.replicated();

    site.link.stall();
    await site.publish(5);
    await site.heard(15, 'beyond-it', ...stay);
    site.member('beyond-it').leave();
    await site.publish(15);
    await site.heard(30, ...stay);
    const lost = new Set([...site.sent.values()].flatMap((sent) => sent.slice(10).map(({ name }) => name)));
    expect(lost.size).toBe(20 * ROOMS.length);
    await site.failOver();

    await site.publish(40);
    const ends = [...site.sent.values()].map(
      (sent) => sent.filter(({ outcome }) => outcome.status !== 'unknown').length,
    );
    expect(ends).toEqual(ROOMS.map(() => 70));
    for (const name of ['at-the-fork', 'before-it', 'beyond-it'] as const) site.member(name).comeBack();
    await site.heard(50, ...MEMBERS);

    for (const room of ROOMS) {
      expect(await site.verdict(room, lost)).toEqual([]);
      expect(ambiguous(members.values(), room)).toEqual([]);
      for (const name of stay) expect(told(site.member(name), room)).toMatchObject([{ how: 'gap' }]);
      expect(told(site.member('beyond-it'), room)).toMatchObject([{ how: 'join', position: { offset: 50 } }]);
      for (const name of ['at-the-fork', 'before-it'] as const) {
        expect(told(site.member(name), room)).toEqual([]);
        const [recovery] = (site.member(name).heard.get(room) ?? []).filter(({ kind }) => kind === 'recovered');
        expect(recovery).toMatchObject({ publications: { length: name === 'before-it' ? 44 : 40 } });
      }
      for (const name of stay) {
        const names = (site.member(name).heard.get(room) ?? []).flatMap((one) =>
          one.kind === 'message' ? [one.name] : [],
        );
        expect(names.slice(30)).toEqual(
          site.sent
            .get(room)!
            .slice(30)
            .map(({ name }) => name),
        );
      }
    }

    // Once more, and nothing is lost: nobody is told anything.
    await site.replicate();
    site.member('before-it').leave();
    await site.publish(5);
    await site.replicated();
    await site.failOver();
    await site.publish(10);
    site.member('before-it').comeBack();
    await site.heard(65, ...MEMBERS);
    for (const room of ROOMS) {
      expect(await site.verdict(room, lost)).toEqual([]);
      const counts = MEMBERS.map((name) => told(site.member(name), room).length);
      expect(counts).toEqual([1, 1, 0, 0, 1]);
    }
  });

  it.concurrent('tells them also when nobody publishes any more', async () => {
    await using site = await Site.open();
    await site.publish(5);
    await site.heard(5, ...MEMBERS);
    await site.replicated();
    site.link.stall();
    await site.publish(3);
    await site.heard(8, ...MEMBERS);
    const lost = new Set([...site.sent.values()].flatMap((sent) => sent.slice(5).map(({ name }) => name)));
    await site.failOver();

    await site.heard(5, ...MEMBERS);
    for (const room of ROOMS) {
      for (const member of site.members.values())
        expect(told(member, room)).toMatchObject([{ position: { offset: 5 } }]);
    }
    await site.publish(2);
    await site.heard(7, ...MEMBERS);
    for (const room of ROOMS) expect(await site.verdict(room, lost)).toEqual([]);
  });
});
