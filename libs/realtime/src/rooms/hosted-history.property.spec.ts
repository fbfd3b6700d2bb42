import fc from 'fast-check';
import type { Position } from 'nestjs-realtime-protocol';
import { roomChannel } from '../cluster/channels.js';
import type { Link } from '../core/link.js';
import type { ConnectionId, TransportId } from '../core/ids.js';
import { noMetrics } from '../core/metrics.js';
import { RecentPublications } from '../history/recent-publications.js';
import type { LogRange, LogState, Retention, RoomLog } from '../history/room-log.js';
import { MemoryBus } from '../memory/memory-bus.js';
import { MemoryHub } from '../memory/memory-hub.js';
import { MemoryRoomLog } from '../memory/memory-room-log.js';
import { ManualClock } from '../testing/manual-clock.js';
import { HostedHistory } from './hosted-history.js';
import type { RoomMember } from './room-member.js';
import { encodeRoomMessage } from './room-message.js';
import { takePayload } from './room-payload.js';
import type { NumberedMessage } from './room-recovery.js';

const ROOM = 'chat/1';
const RETENTION = { size: 1_000, ttlMs: 3_600_000 };

/** The log behind a network: answers take their time, and may fail. */
class DistantLog implements Pick<RoomLog, 'read' | 'states'> {
  isAway = false;
  reads = 0;
  delayMs = 5;

  constructor(
    private readonly log: RoomLog,
    private readonly clock: ManualClock,
  ) {}

  async read(room: string, retention: Retention, range: LogRange) {
    this.reads += 1;
    await this.travel();
    const read = await this.log.read(room, retention, range);
    await this.travel();
    return read;
  }

  async states(rooms: readonly { room: string; retention: Retention }[]): Promise<LogState[]> {
    await this.travel();
    const states = await this.log.states(rooms);
    await this.travel();
    return states;
  }

  private async travel(): Promise<void> {
    const { delayMs } = this;
    if (delayMs > 0) await new Promise<void>((resolve) => void this.clock.after(delayMs, resolve));
    if (this.isAway) throw new Error('away');
  }
}

/** A client that keeps its position, as ours does, and what it has ever got. */
class Client {
  readonly member: RoomMember;
  position: Position | undefined;
  readonly got: string[] = [];
  isIn = false;
  isJoining = false;

  constructor(readonly name: string) {
    const id = name as ConnectionId;
    const link = { id, transportId: name as unknown as TransportId, namespace: '/', isOpen: true } as Link;
    const principal = { id: name, sessionId: name, roles: [], scopes: [], claims: {}, isAnonymous: false };
    this.member = {
      ...{ link, principal, device: name, clientVersion: 0, rooms: new Set<string>(), lines: undefined },
      takeTurn: () => undefined,
      endTurn: () => undefined,
      checkHistory: () => undefined,
      countHistory: () => undefined,
    };
  }

  take(data: string, position: Position): void {
    if (this.position) expect(position.offset).toBe(this.position.offset + 1);
    this.position = position;
    this.got.push(data);
  }
}

class World {
  readonly clock = new ManualClock();
  private readonly hub = new MemoryHub();
  readonly bus = new MemoryBus(this.hub);
  readonly far = new MemoryBus(this.hub);
  readonly truth = new MemoryRoomLog(this.far, this.clock);
  readonly log = new DistantLog(this.truth, this.clock);
  readonly clients = ['a', 'b', 'c'].map((name) => new Client(name));
  readonly recent: RecentPublications<NumberedMessage>;
  readonly history: HostedHistory;
  told = 0;
  readonly failures: unknown[] = [];
  private published = 0;

  constructor(recentBytes: number) {
    this.recent = new RecentPublications(recentBytes);
    this.history = new HostedHistory(ROOM, RETENTION, {
      ...{
        log: this.log,
        clock: this.clock,
        metrics: noMetrics,
        recent: this.recent,
      },
      deliver: (_room, { text, position }) => {
        for (const client of this.clients)
          if (client.isIn) client.take(JSON.parse(/,(".*?"),/.exec(text)?.[1] ?? ''), position);
      },
      tell: () => (this.told += 1),
    });
    const followers = { name: ROOM, presence: undefined, history: this.history };
    const deps = { broadcast: { deliver: () => undefined }, metrics: noMetrics, nodeId: 'n' };
    void this.bus.subscribe(roomChannel(ROOM), (payload) => takePayload(followers, payload, deps));
    this.bus.onState((state) => {
      if (state === 'up') void this.check(true);
    });
  }

  async publish(): Promise<void> {
    const data = `p${(this.published += 1)}`;
    const text = encodeRoomMessage({ room: ROOM, event: 'said', data, id: data });
    await this.truth.publish({ room: ROOM, publisher: 'x', id: data, text, retention: RETENTION });
  }

  async check(isLate: boolean): Promise<void> {
    const [state] = await this.log.states([{ room: ROOM, retention: RETENTION }]).catch(() => []);
    if (state) this.history.check(state, { isLate });
  }

  async join(client: Client): Promise<void> {
    if (client.isIn || client.isJoining) return;
    client.isJoining = true;
    const wanted = { position: client.position };
    try {
      const release = await this.history.prepare(wanted);
      // Other rooms of the same join take longer.
      await new Promise<void>((resolve) => void this.clock.after(this.log.delayMs, resolve));
      const reply = this.history.recover(wanted, client.member);
      if (client.position) expect(reply?.recovered).toBe(true);
      for (const { data, offset } of reply?.publications ?? []) {
        client.take(data as string, { epoch: reply?.position.epoch ?? '', offset });
      }
      if (client.position) expect(client.position.offset).toBe(reply?.position.offset);
      client.position = reply?.position;
      client.isIn = true;
      release();
    } catch (error) {
      if ((error as Error).message !== 'away') this.failures.push(error);
    } finally {
      client.isJoining = false;
    }
  }

  setAway(isAway: boolean): void {
    this.log.isAway = isAway;
    this.bus.setState(isAway ? 'down' : 'up');
  }
}

const named = (name: string, run: (world: World) => unknown) => Object.assign(run, { toString: () => name });
const client = fc.nat(2);
const step = fc.oneof(
  { weight: 10, arbitrary: fc.constant(named('publish', (w) => w.publish())) },
  { weight: 6, arbitrary: client.map((c) => named(`join ${c}`, (w) => void w.join(w.clients[c] as Client))) },
  { weight: 4, arbitrary: client.map((c) => named(`leave ${c}`, (w) => ((w.clients[c] as Client).isIn = false))) },
  { weight: 12, arbitrary: fc.nat(25).map((ms) => named(`wait ${ms}`, (w) => w.clock.advanceAsync(ms))) },
  { weight: 1, arbitrary: fc.constant(named('wait long', (w) => w.clock.advanceAsync(2_000))) },
  { weight: 2, arbitrary: fc.nat(6).map((ms) => named(`delay ${ms}`, (w) => (w.log.delayMs = ms))) },
  { weight: 1, arbitrary: fc.boolean().map((away) => named(`away ${away}`, (w) => w.setAway(away))) },
  { weight: 1, arbitrary: fc.constant(named('check', (w) => void w.check(false))) },
);

describe('when members come and go, and the log is far away or out of reach', () => {
  it.each([0, 2_000, 1_000_000])('gives each of them the sequence of the log (%i bytes of memory)', async (bytes) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 150, size: 'max' }), async (steps) => {
        const world = new World(bytes);
        for (const run of steps) await run(world);
        world.setAway(false);
        for (let round = 0; round < 4; round += 1) {
          await world.clock.advanceAsync(6_000);
          await Promise.all([world.check(true), world.clock.advanceAsync(100)]);
          for (const one of world.clients) void world.join(one);
        }
        await world.clock.advanceAsync(6_000);
        const { entries } = await world.truth.read(ROOM, RETENTION, { limit: 1_000 });
        for (const { isIn, got, position } of world.clients) {
          expect(isIn).toBe(true);
          const all = entries.map((_, index) => `p${index + 1}`);
          expect(got).toEqual(got.length === 0 ? [] : all.slice(-got.length));
          expect(position?.offset).toBe(entries.length);
        }
        expect(world.told).toBe(0);
        expect(world.failures).toEqual([]);
        world.history.close();
        expect(world.recent.size).toBe(0);
        await world.clock.advanceAsync(10_000);
        expect(world.clock.pending).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('when 5 000 members come back at once', () => {
  it.each([
    ['a node that has the room', false],
    ['a node that has just begun', true],
  ])('reads the log at most twice on %s', async (_name, isFresh) => {
    const world = new World(16_777_216);
    const first = world.clients[0] as Client;
    if (!isFresh) await Promise.all([world.join(first), world.clock.advanceAsync(50)]);
    const { epoch } = (await world.truth.read(ROOM, RETENTION, { limit: 1 })) as LogState;
    for (let n = 0; n < 200; n += 1) await world.publish();
    await world.clock.advanceAsync(50);
    const crowd = Array.from({ length: 5_000 }, (_, index) => new Client(`c${index}`));
    crowd.forEach((one, index) => (one.position = { epoch, offset: 190 + (index % 10) }));
    const joins = crowd.map((one) => world.join(one));
    await world.clock.advanceAsync(2_000);
    await Promise.all(joins);
    expect(crowd.every(({ isIn, position }) => isIn && position?.offset === 200)).toBe(true);
    expect(world.failures).toEqual([]);
    expect(world.log.reads).toBeLessThanOrEqual(2);
    world.history.close();
  });
});
