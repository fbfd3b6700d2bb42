import type { ClusterNode } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { between } from '../requests/random.js';
import { failureOf, outcomeOf, type Member, type Named } from './member.js';
import type { SentOutcome, SentPublication } from './room-history.js';

export interface PublishersSettings {
  readonly rooms: readonly string[];
  readonly nodes: () => readonly ClusterNode[];
  readonly members: readonly Member[];
  readonly random: () => number;
  /** Milliseconds between two publications. */
  readonly everyMs: number;
}

type Sending = Omit<SentPublication, 'outcome'> & { outcome: SentOutcome };

/** In this part of them a client publishes, by `realtime:publish`. */
const BY_CLIENTS = 0.2;
const BURSTS = 0.1;
const BURST = 4;
const PADDING = 'x'.repeat(200);

/** Publishes to the rooms all the time, from all nodes and from clients, and writes down what became of each. */
export class Publishers {
  readonly sent = new Map<string, Sending[]>();
  private readonly pending = new Set<Promise<void>>();
  private readonly timer: NodeJS.Timeout;
  private count = 0;

  constructor(private readonly settings: PublishersSettings) {
    for (const room of settings.rooms) this.sent.set(room, []);
    this.timer = setInterval(() => this.publishSomewhere(), settings.everyMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }

  /** Resolves when it is known of each what became of it. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.pending);
  }

  /** One more to each room, acknowledged: what came before it in the room has come. */
  async fence(): Promise<ReadonlyMap<string, number>> {
    const rooms = [...this.sent.keys()];
    return new Map(await Promise.all(rooms.map(async (room) => [room, await this.fenceIn(room)] as const)));
  }

  private async fenceIn(room: string): Promise<number> {
    return eventually(async () => {
      const [node] = this.settings.nodes();
      const outcome = node && (await this.publishFrom(node, room));
      if (outcome?.status === 'acknowledged') return outcome.position.offset;
      throw new Error(`nothing can be published to ${room} any more: ${JSON.stringify(outcome)}`);
    });
  }

  private publishSomewhere(): void {
    const { rooms, nodes, random } = this.settings;
    const room = rooms[between(0, rooms.length, random)] ?? '';
    const isByClient = random() < BY_CLIENTS;
    const members = isByClient
      ? this.settings.members.filter((one) => one.isConnected && one.position(room) !== undefined)
      : [];
    const member = members[between(0, members.length, random)];
    const node = nodes()[between(0, nodes().length, random)];
    if (member) this.follow(this.publishBy(member, room));
    else if (node) this.burst(node, room, random() < BURSTS ? BURST : 1);
  }

  /** One after the other, and none waits for the one before. */
  private burst(node: ClusterNode, room: string, size: number): void {
    for (let index = 0; index < size; index += 1) this.follow(this.publishFrom(node, room));
  }

  private follow(work: Promise<unknown>): void {
    const done = work.then(() => void this.pending.delete(done));
    this.pending.add(done);
  }

  private publishFrom(node: ClusterNode, room: string): Promise<SentOutcome> {
    return this.note(room, node.id, (data) =>
      node.call('publish', room, 'message', data).then(outcomeOf, (error: { code?: string }) => failureOf(error.code)),
    );
  }

  private publishBy(member: Member, room: string): Promise<SentOutcome> {
    // Of a client that promises no order each publication counts as a publisher's own.
    const publisher = member.keepsOrder ? member.user : `${member.user} #${this.count}`;
    return this.note(room, publisher, (data) => member.publish(room, data));
  }

  private async note(
    room: string,
    publisher: string,
    publish: (data: Named) => Promise<SentOutcome>,
  ): Promise<SentOutcome> {
    const n = (this.count += 1);
    const one: Sending = { name: `${publisher}/${n}`, publisher, n, outcome: { status: 'unknown' } };
    this.sent.get(room)?.push(one);
    one.outcome = await publish({ name: one.name, padding: PADDING });
    return one.outcome;
  }
}
