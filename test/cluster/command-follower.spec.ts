import {
  COMMANDS_CHANNEL,
  CommandFollower,
  ManualClock,
  MemoryBus,
  MemoryCommandLog,
  MemoryHub,
  type ClusterCommand,
  type CommandLog,
} from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { Inbox } from '../support/inbox.js';

const kick = (room: string): ClusterCommand => ({ kind: 'kick', room, userId: 'u' });
const revoke = (userId: string): ClusterCommand => ({ kind: 'revoke', userId, at: 1 });

class World {
  readonly clock = new ManualClock();
  readonly hub = new MemoryHub();
  readonly bus = new MemoryBus(this.hub);
  readonly applied: ClusterCommand[] = [];
  readonly errors: unknown[] = [];
  active: ClusterCommand[] = [];
  isLogDown = false;
  /** How often the follower asked for the log, in vain too. */
  reads = 0;
  log: CommandLog = this.newLog();
  apply: (command: ClusterCommand) => void | Promise<void> = (command) => void this.applied.push(command);
  readonly follower = new CommandFollower({
    log: {
      channel: COMMANDS_CHANNEL,
      ready: () => Promise.resolve(),
      close: () => Promise.resolve(),
      append: (command) => this.log.append(command),
      read: (after) => {
        this.reads += 1;
        return this.isLogDown ? Promise.reject(new Error('unreachable')) : this.log.read(after);
      },
    },
    bus: this.bus,
    clock: this.clock,
    apply: (command) => {
      this.#progress.push(command.kind === 'kick' ? command.room : command.kind);
      return this.apply(command);
    },
    activeRevocations: () => this.active,
    onError: (error) => void this.errors.push(error),
  });
  readonly #progress = new Inbox();
  /** Another node: the hub delivers to it after the follower. */
  readonly #witness = new MemoryBus(this.hub);
  readonly #heard = new Inbox();
  #fences = 0;

  newLog(): CommandLog {
    return new MemoryCommandLog(new MemoryBus(this.hub), { revokeTtlMs: 60_000 }, this.clock);
  }

  /** Resolves when the room's `kick` was applied here. */
  async untilApplied(room: string): Promise<void> {
    await this.#progress.next(room);
  }

  /**
   * Whatever was published before has reached the follower, which has applied it or begun to read the log: both happen
   * while the hub delivers. The follower itself does not listen to this channel, so nothing is caused by looking.
   */
  async delivered(): Promise<void> {
    const fence = `fence ${(this.#fences += 1)}`;
    await this.#witness.subscribe('fences', (payload) => this.#heard.push(payload));
    await this.#witness.publish('fences', fence);
    await this.#heard.next(fence);
  }

  /** As `delivered`, and what the follower has begun to read is applied. It reads once more for this. */
  async settled(): Promise<void> {
    await this.delivered();
    await this.follower.catchUp();
  }
}

describe('when a node follows the command log', () => {
  it('has applied the whole log when it is ready, and follows from there', async () => {
    const world = new World();
    await world.log.append(kick('a'));
    await world.log.append(kick('b'));
    await world.follower.ready();
    expect(world.applied).toEqual([kick('a'), kick('b')]);
    const position = await world.log.append(kick('c'));
    await world.follower.whenApplied(position);
    expect(world.applied).toEqual([kick('a'), kick('b'), kick('c')]);
    expect(world.follower.position).toEqual(position);
  });

  it('applies each command once, whichever way it comes', async () => {
    const world = new World();
    await world.follower.ready();
    for (const room of ['a', 'b', 'c', 'd']) {
      const position = await world.log.append(kick(room));
      world.follower.onTop(position);
      void world.follower.catchUp();
      await world.follower.whenApplied(position);
    }
    await world.settled();
    expect(world.applied).toEqual(['a', 'b', 'c', 'd'].map(kick));
  });

  it('finds out about a lost message from the next one', async () => {
    const world = new World();
    await world.follower.ready();
    world.bus.setState('down');
    const { reads } = world;
    await world.log.append(kick('lost'));
    await world.delivered();
    expect([world.applied, world.reads - reads]).toEqual([[], 0]);
    world.isLogDown = true;
    world.bus.setState('up');
    await eventually(() => expect(world.errors.map(String)).toEqual([expect.stringContaining('unreachable')]));
    expect(world.applied).toEqual([]);
    world.isLogDown = false;
    await world.log.append(kick('next'));
    await world.untilApplied('next');
    await world.settled();
    expect(world.applied).toEqual([kick('lost'), kick('next')]);
  });

  it('finds out about a lost message from the top that a lease renewal brings', async () => {
    const world = new World();
    await world.follower.ready();
    const deaf = new MemoryCommandLog(new MemoryBus(), { revokeTtlMs: 60_000 }, world.clock);
    world.log = deaf;
    await world.follower.catchUp();
    const { reads } = world;
    world.follower.onTop(await deaf.append(kick('lost')));
    await world.untilApplied('lost');
    expect(world.reads - reads).toBe(1);
    await world.settled();
    expect(world.applied).toEqual([kick('lost')]);
  });

  it('catches up when the bus is up again', async () => {
    const world = new World();
    await world.follower.ready();
    world.bus.setState('down');
    await world.log.append(kick('meanwhile'));
    await world.delivered();
    expect(world.applied).toEqual([]);
    world.bus.setState('up');
    await world.untilApplied('meanwhile');
    await world.settled();
    expect(world.applied).toEqual([kick('meanwhile')]);
  });

  it('survives handlers that throw and reject, and strangers on the channel', async () => {
    const world = new World();
    world.apply = (command) => {
      world.applied.push(command);
      if (world.applied.length === 1) throw new Error('thrown');
      return world.applied.length === 2 ? Promise.reject(new Error('rejected')) : undefined;
    };
    await world.follower.ready();
    for (const text of ['', '{', 'null', '[]', '{"id":1}', '{"id":"x","position":{"epoch":"e"},"command":{}}']) {
      await world.bus.publish(COMMANDS_CHANNEL, text);
    }
    for (const room of ['a', 'b', 'c']) await world.log.append(kick(room));
    await world.untilApplied('c');
    await eventually(() => expect(world.errors).toHaveLength(8));
    await world.settled();
    expect(world.applied).toEqual(['a', 'b', 'c'].map(kick));
    expect(world.errors.map(String)).toEqual([
      ...Array.from({ length: 6 }, () => expect.stringContaining('malformed')),
      expect.stringContaining('thrown'),
      expect.stringContaining('rejected'),
    ]);
  });
});

describe('when the log cannot be read at boot', () => {
  it('is not ready before it was, and tries again', async () => {
    const world = new World();
    await world.log.append(kick('a'));
    world.isLogDown = true;
    let isReady = false;
    const ready = world.follower.ready().then(() => (isReady = true));
    await world.clock.advanceAsync(5_000);
    expect([isReady, world.reads, world.errors.length]).toEqual([false, 3, 3]);
    world.isLogDown = false;
    await world.clock.advanceAsync(2_000);
    await ready;
    expect(world.applied).toEqual([kick('a')]);
    await world.follower.close();
    expect(world.clock.pending).toBe(0);
  });
});

describe('when the log lost its past', () => {
  it('appends the revocations that still hold and are missing, and applies none twice', async () => {
    const world = new World();
    await world.follower.ready();
    await world.log.append(revoke('a'));
    const before = await world.log.append(revoke('b'));
    await world.follower.whenApplied(before);
    world.active = [revoke('a'), { at: 1, userId: 'b', kind: 'revoke' }];
    world.log = world.newLog();
    const { epoch } = await world.log.append(revoke('b'));
    world.follower.onTop({ epoch, offset: 1 });
    await world.follower.whenApplied({ epoch, offset: 2 });
    await world.settled();
    const { commands } = await world.log.read();
    expect(commands.map(({ command }) => command)).toEqual([revoke('b'), revoke('a')]);
    expect(world.follower.position).toEqual({ epoch, offset: 2 });
  });
});
