import fc from 'fast-check';
import type { PresenceCount, PresenceDiff, PresenceUser } from 'nestjs-realtime-protocol';
import type { Incarnation } from '../core/ids.js';
import { noMetrics } from '../core/metrics.js';
import { MemoryPresenceStore } from '../memory/memory-presence-store.js';
import { ManualClock } from '../testing/manual-clock.js';
import { HostedPresence } from './hosted-presence.js';
import { NodePresence } from './node-presence.js';
import { changeDevice } from './presence-user.js';

const MAX_LISTED = 5;
const NODES = 2;

/** What our client does with a join reply and what follows. */
class Client {
  users: Map<string, PresenceUser> | undefined;
  count: number;
  private version: number;

  /** @param understandsDevices It applies what changed of a user, in place of taking the whole user. */
  constructor(
    hosted: HostedPresence,
    private readonly understandsDevices: boolean,
  ) {
    const state = hosted.state();
    this.version = state.version;
    this.count = state.count;
    this.users = state.users && new Map(state.users.map((user) => [user.id, user]));
  }

  readonly take = (whole: PresenceDiff | PresenceCount, partial?: PresenceDiff): void => {
    const payload = (this.understandsDevices && partial) || whole;
    if ('count' in payload) {
      this.users = undefined;
      this.count = payload.count;
      return;
    }
    if (payload.from === 0) this.users = new Map();
    else expect(payload.from).toBe(this.version);
    for (const user of payload.join ?? []) {
      expect(this.users?.has(user.id)).toBe(false);
      this.users?.set(user.id, user);
    }
    for (const user of payload.update ?? []) {
      expect(this.users?.has(user.id)).toBe(true);
      this.users?.set(user.id, user);
    }
    for (const change of payload.devices ?? []) {
      const user = this.users?.get(change.id);
      expect(user).toBeDefined();
      if (user) this.users?.set(user.id, changeDevice(user, change));
    }
    for (const id of payload.leave ?? []) expect(this.users?.delete(id)).toBe(true);
    this.version = payload.to;
    this.count = this.users?.size ?? -1;
  };
}

class World {
  readonly clock = new ManualClock();
  readonly clients = new Set<Client>();
  readonly store = new MemoryPresenceStore({
    clock: this.clock,
    publish: (_, payload) => {
      if (this.isDeaf) return;
      this.hosted.onChange(payload.slice(1));
    },
  });
  readonly hosted = new HostedPresence({
    ...{ room: 'r', store: this.store, clock: this.clock, maxListed: MAX_LISTED },
    emit: (payload, partial) => this.clients.forEach((client) => client.take(payload, partial)),
  });
  readonly nodes = Array.from({ length: NODES }, (_, index) => {
    return new NodePresence({
      ...{ store: this.store, clock: this.clock, metrics: noMetrics, onTransition: () => undefined },
      incarnations: { current: () => `n${index}` as Incarnation, onChange: () => () => undefined },
    });
  });
  isDeaf = false;

  async check(): Promise<void> {
    const [seen] = await this.store.versions(['r']);
    void this.hosted.check(seen);
    for (const node of this.nodes) await node.check('r', seen);
  }
}

type Step = (world: World) => unknown;

function addClients({ clients, hosted }: World): void {
  clients.add(new Client(hosted, false)).add(new Client(hosted, true));
}

const ids = fc.record({ node: fc.nat(NODES - 1), user: fc.nat(7), tab: fc.nat(1) }).map(({ node, user, tab }) => ({
  node,
  entry: { userId: `u${user}`, connectionId: `n${node}u${user}t${tab}`, device: `t${tab}` },
}));
const named = (name: string, step: Step) => Object.assign(step, { toString: () => name });
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: ids.map((x) => named(`enter ${x.entry.connectionId}`, (w) => w.nodes[x.node]?.enter('r', x.entry))),
  },
  {
    weight: 6,
    arbitrary: ids.map((x) => named(`leave ${x.entry.connectionId}`, (w) => w.nodes[x.node]?.leave('r', x.entry))),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(ids, fc.nat(3))
      .map(([x, meta]) =>
        named(`meta of ${x.entry.connectionId}`, (w) =>
          w.nodes[x.node]?.update('r', x.entry, meta).catch(() => undefined),
        ),
      ),
  },
  { weight: 4, arbitrary: fc.nat(3_000).map((ms) => named(`wait ${ms}`, (w) => w.clock.advanceAsync(ms))) },
  { weight: 2, arbitrary: fc.constant(named('join', (w) => addClients(w))) },
  { weight: 2, arbitrary: fc.constant(named('check', (w) => w.check())) },
  { weight: 1, arbitrary: fc.constant(named('lose the storage', (w) => w.store.reset())) },
  { weight: 1, arbitrary: fc.boolean().map((deaf) => named(`deaf ${deaf}`, (w) => (w.isDeaf = deaf))) },
);

describe('when anything happens in any order', () => {
  it('tells every client one unbroken story that ends with the truth', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const world = new World();
        await world.hosted.open();
        addClients(world);
        for (const run of steps) await run(world);
        world.isDeaf = false;
        for (let round = 0; round < 3; round += 1) {
          await world.check();
          await world.clock.advanceAsync(12_000);
        }
        const state = await world.store.read('r', 1_000);
        const truth = [...(state.users ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1));
        for (const { users, count } of world.clients) {
          expect(count).toBe(truth.length);
          if (truth.length <= MAX_LISTED * 0.8) expect(users).toBeDefined();
          if (users) expect([...users.values()].sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual(truth);
        }
        expect(world.nodes.reduce((sum, node) => sum + node.size, 0)).toBe((await world.store.count('r')).connections);
        world.hosted.close();
        expect(world.clock.pending).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});
