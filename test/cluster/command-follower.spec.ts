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

const kick = (room: string): ClusterCommand => ({ kind: 'kick', room, userId: 'u' });
const revoke = (userId: string): ClusterCommand => ({ kind: 'revoke', userId, at: 1 });
const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

class World {
  readonly clock = new ManualClock();
  readonly hub = new MemoryHub();
  readonly bus = new MemoryBus(this.hub);
  readonly applied: ClusterCommand[] = [];
  readonly errors: unknown[] = [];
  active: ClusterCommand[] = [];
  isLogDown = false;
  log: CommandLog = this.newLog();
  apply: (command: ClusterCommand) => void | Promise<void> = (command) => void this.applied.push(command);
  readonly follower = new CommandFollower({
    log: {
      ready: () => Promise.resolve(),
      close: () => Promise.resolve(),
      append: (command) => this.log.append(command),
      read: (after) => (this.isLogDown ? Promise.reject(new Error('unreachable')) : this.log.read(after)),
    },
    bus: this.bus,
    clock: this.clock,
    apply: (command) => this.apply(command),
    activeRevocations: () => this.active,
    onError: (error) => void this.errors.push(error),
  });

  newLog(): CommandLog {
    return new MemoryCommandLog(new MemoryBus(this.hub), { revokeTtlMs: 60_000 }, this.clock);
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
    await turns();
    expect(world.applied).toEqual(['a', 'b', 'c', 'd'].map(kick));
  });

  it('finds out about a lost message from the next one', async () => {
    const world = new World();
    await world.follower.ready();
    world.bus.setState('down');
    await world.log.append(kick('lost'));
    await turns();
    expect(world.applied).toEqual([]);
    world.isLogDown = true;
    world.bus.setState('up');
    await turns();
    world.isLogDown = false;
    await world.log.append(kick('next'));
    await turns();
    expect(world.applied).toEqual([kick('lost'), kick('next')]);
  });

  it('finds out about a lost message from the top that a lease renewal brings', async () => {
    const world = new World();
    await world.follower.ready();
    const deaf = new MemoryCommandLog(new MemoryBus(), { revokeTtlMs: 60_000 }, world.clock);
    world.log = deaf;
    await world.follower.catchUp();
    world.follower.onTop(await deaf.append(kick('lost')));
    await turns();
    expect(world.applied).toEqual([kick('lost')]);
  });

  it('catches up when the bus is up again', async () => {
    const world = new World();
    await world.follower.ready();
    world.bus.setState('down');
    await world.log.append(kick('meanwhile'));
    await turns();
    world.bus.setState('up');
    await turns();
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
    await turns();
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
    expect(isReady).toBe(false);
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
    await world.log.append(revoke('b'));
    await turns();
    world.active = [revoke('a'), { at: 1, userId: 'b', kind: 'revoke' }];
    world.log = world.newLog();
    const { epoch } = await world.log.append(revoke('b'));
    world.follower.onTop({ epoch, offset: 1 });
    await turns();
    const { commands } = await world.log.read();
    expect(commands.map(({ command }) => command)).toEqual([revoke('b'), revoke('a')]);
    expect(world.follower.position).toEqual({ epoch, offset: 2 });
  });
});
