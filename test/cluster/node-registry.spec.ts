import {
  ManualClock,
  MemoryBus,
  MemoryCommandLog,
  MemoryNodeLeases,
  NodeRegistry,
  type Incarnation,
  type NodeId,
} from '../support/engines.js';

/** A storage that a test can make unreachable, or replace by one that lost everything. */
class Storage {
  readonly clock = new ManualClock();
  readonly log = new MemoryCommandLog(new MemoryBus(), { revokeTtlMs: 60_000 }, this.clock);
  leases = new MemoryNodeLeases(this.log, this.clock);
  isDown = false;
  calls = { renew: 0, look: 0 };

  restartEmpty(): void {
    this.leases = new MemoryNodeLeases(this.log, this.clock);
  }
}

interface Node {
  registry: NodeRegistry;
  lapsed: Incarnation[];
  tops: number[];
  errors: unknown[];
  changes: Incarnation[];
  /** As SIGSTOP would: nothing of it runs. */
  stop(): void;
}

function startNode(storage: Storage, id: string): Node {
  const [lapsed, tops, errors, changes]: [Incarnation[], number[], unknown[], Incarnation[]] = [[], [], [], []];
  let isStopped = false;
  const guard = <T>(call: () => Promise<T>): Promise<T> =>
    storage.isDown ? Promise.reject(new Error('unreachable')) : call();
  const registry = new NodeRegistry({
    clock: {
      now: () => storage.clock.now(),
      unixNow: () => storage.clock.unixNow(),
      after: (ms, task) => storage.clock.after(ms, () => isStopped || task()),
      every: (ms, task) => storage.clock.every(ms, () => isStopped || task()),
    },
    leases: {
      ready: () => storage.leases.ready(),
      close: () => storage.leases.close(),
      renew: (node, ms) => {
        storage.calls.renew += 1;
        return guard(() => storage.leases.renew(node, ms));
      },
      look: () => {
        storage.calls.look += 1;
        return guard(() => storage.leases.look());
      },
      alive: () => guard(() => storage.leases.alive()),
      release: (incarnation, ms) => guard(() => storage.leases.release(incarnation, ms)),
      bury: (incarnation, ms) => guard(() => storage.leases.bury(incarnation, ms)),
    },
    nodeId: id as NodeId,
    onLapsed: (incarnation) => {
      lapsed.push(incarnation);
      return Promise.resolve();
    },
    onCommandsTop: ({ offset }) => void tops.push(offset),
    onError: (error) => void errors.push(error),
  });
  registry.onChange((next) => changes.push(next));
  return { registry, lapsed, tops, errors, changes, stop: () => (isStopped = true) };
}

describe('when a node takes its lease', () => {
  it('is alive after start only, renews at least every 5 s and looks every 2 s', async () => {
    const storage = new Storage();
    const a = startNode(storage, 'a');
    const first = a.registry.current();
    expect(await storage.leases.alive()).toEqual([]);
    await a.registry.start();
    expect(await a.registry.alive()).toEqual([{ nodeId: 'a', incarnation: first }]);
    await storage.clock.advanceAsync(60_000);
    expect(storage.calls.renew + storage.calls.look).toBe(31);
    expect(storage.calls.renew).toBe(16);
    expect(a.registry.current()).toBe(first);
    expect(a.errors).toEqual([]);
    await a.registry.close();
    expect(storage.clock.pending).toBe(0);
  });

  it('passes on the top of the command log', async () => {
    const storage = new Storage();
    const a = startNode(storage, 'a');
    await a.registry.start();
    await storage.log.append({ kind: 'close-room', room: 'x' });
    await storage.clock.advanceAsync(2_000);
    expect(a.tops).toEqual([0, 1]);
    await a.registry.close();
  });
});

describe('when a node dies', () => {
  it('is swept within 20 s by the survivors, once each, and a second time 60 s later', async () => {
    const storage = new Storage();
    const [a, b, c] = ['a', 'b', 'c'].map((id) => startNode(storage, id)) as [Node, Node, Node];
    await Promise.all([a, b, c].map(({ registry }) => registry.start()));
    await storage.clock.advanceAsync(30_000);
    const dead = c.registry.current();
    c.stop();
    await storage.clock.advanceAsync(17_000);
    expect([...a.lapsed, ...b.lapsed]).toContain(dead);
    const sweeps = a.lapsed.length + b.lapsed.length;
    expect((await a.registry.alive()).map(({ nodeId }) => nodeId).sort()).toEqual(['a', 'b']);
    await storage.clock.advanceAsync(40_000);
    expect(a.lapsed.length + b.lapsed.length).toBe(sweeps);
    await storage.clock.advanceAsync(24_000);
    expect(a.lapsed.length + b.lapsed.length).toBeGreaterThan(sweeps);
    const all = a.lapsed.length + b.lapsed.length;
    await storage.clock.advanceAsync(300_000);
    expect(a.lapsed.length + b.lapsed.length).toBe(all);
  });

  it('is announced after its grace when it released its lease', async () => {
    const storage = new Storage();
    const [a, b] = [startNode(storage, 'a'), startNode(storage, 'b')];
    await Promise.all([a.registry.start(), b.registry.start()]);
    await storage.clock.advanceAsync(20_000);
    const leaving = b.registry.current();
    await b.registry.close(5_000);
    await b.registry.close(5_000);
    await storage.clock.advanceAsync(4_000);
    expect(a.lapsed).toEqual([]);
    await storage.clock.advanceAsync(4_000);
    expect(a.lapsed).toEqual([leaving]);
  });
});

describe('when somebody asks whether a claim still holds', () => {
  it('says that a lease lapsed only when it did, and never while it may not judge', async () => {
    const storage = new Storage();
    const [a, b] = [startNode(storage, 'a'), startNode(storage, 'b')];
    await Promise.all([a.registry.start(), b.registry.start()]);
    const other = b.registry.current();
    b.stop();
    const stranger = 'never heard of' as Incarnation;
    expect(await a.registry.hasLapsed(stranger)).toBe(false);
    await storage.clock.advanceAsync(14_000);
    expect(await a.registry.hasLapsed(other)).toBe(false);
    await storage.clock.advanceAsync(3_000);
    expect(await a.registry.hasLapsed(other)).toBe(true);
    expect(await a.registry.hasLapsed(a.registry.current())).toBe(false);
    storage.isDown = true;
    expect(await a.registry.hasLapsed(other)).toBe(false);
    await storage.clock.advanceAsync(10_000);
    storage.isDown = false;
    await storage.clock.advanceAsync(5_000);
    expect(await a.registry.hasLapsed(other)).toBe(false);
    await storage.clock.advanceAsync(15_000);
    expect(await a.registry.hasLapsed(other)).toBe(true);
  });

  it('gives out an incarnation only while the others can see it', async () => {
    const storage = new Storage();
    const a = startNode(storage, 'a');
    storage.isDown = true;
    await a.registry.start();
    expect(await a.registry.held()).toBeUndefined();
    storage.isDown = false;
    const first = await a.registry.held();
    expect((await storage.leases.alive()).map(({ incarnation }) => incarnation)).toEqual([first]);
    storage.isDown = true;
    await storage.clock.advanceAsync(16_000);
    expect(await a.registry.held()).toBeUndefined();
    storage.isDown = false;
    const second = await a.registry.held();
    expect(second).not.toBe(first);
    expect((await storage.leases.alive()).map(({ incarnation }) => incarnation)).toEqual([second]);
  });
});

describe('when the storage is away', () => {
  it('judges nobody for a whole lease after it is back, however long it was away', async () => {
    const storage = new Storage();
    const [a, b] = [startNode(storage, 'a'), startNode(storage, 'b')];
    await Promise.all([a.registry.start(), b.registry.start()]);
    await storage.clock.advanceAsync(20_000);
    const before = [a.registry.current(), b.registry.current()];
    storage.isDown = true;
    await storage.clock.advanceAsync(25_000);
    storage.isDown = false;
    // Only a comes back: b needs its time to reconnect.
    b.stop();
    await storage.clock.advanceAsync(14_000);
    expect(a.lapsed).toEqual([]);
    await storage.clock.advanceAsync(4_000);
    expect(a.lapsed).toEqual(expect.arrayContaining(before));
    expect(a.changes).toEqual([a.registry.current()]);
  });

  it('judges nobody after a short outage either, although the others may be late', async () => {
    const storage = new Storage();
    const [a, b] = [startNode(storage, 'a'), startNode(storage, 'b')];
    await Promise.all([a.registry.start(), b.registry.start()]);
    await storage.clock.advanceAsync(20_000);
    storage.isDown = true;
    await storage.clock.advanceAsync(10_000);
    storage.isDown = false;
    b.stop();
    await storage.clock.advanceAsync(13_000);
    expect(a.lapsed).toEqual([]);
  });

  it('asks again every 2 s, and alive() answers what it knew', async () => {
    const storage = new Storage();
    const [a, b] = [startNode(storage, 'a'), startNode(storage, 'b')];
    await Promise.all([a.registry.start(), b.registry.start()]);
    await a.registry.alive();
    storage.isDown = true;
    const calls = storage.calls.renew + storage.calls.look;
    await storage.clock.advanceAsync(10_000);
    expect(storage.calls.renew + storage.calls.look - calls).toBe(10);
    expect((await a.registry.alive()).map(({ nodeId }) => nodeId)).toEqual(['a', 'b']);
  });

  it('starts degraded and takes the lease when it can', async () => {
    const storage = new Storage();
    storage.isDown = true;
    const a = startNode(storage, 'a');
    await a.registry.start();
    expect(a.registry.isHeld).toBe(false);
    storage.isDown = false;
    await a.registry.refresh();
    expect(a.registry.isHeld).toBe(true);
    expect(a.changes).toEqual([]);
  });
});

describe('when a node was stopped for longer than its lease', () => {
  it('writes under a new incarnation from the first moment, and everybody is told', async () => {
    const storage = new Storage();
    const a = startNode(storage, 'a');
    await a.registry.start();
    const first = a.registry.current();
    storage.isDown = true;
    await storage.clock.advanceAsync(14_999);
    expect(a.registry.current()).toBe(first);
    await storage.clock.advanceAsync(1);
    const second = a.registry.current();
    expect(second).not.toBe(first);
    expect(a.changes).toEqual([second]);
    expect(a.registry.current()).toBe(second);
  });

  it('takes a new incarnation when others have declared it dead', async () => {
    const storage = new Storage();
    const a = startNode(storage, 'a');
    await a.registry.start();
    const first = a.registry.current();
    await storage.leases.release(first, 0);
    await storage.leases.bury(first, 60_000);
    await storage.clock.advanceAsync(4_000);
    expect(a.changes).toEqual([a.registry.current()]);
    expect(a.registry.isHeld).toBe(true);
  });
});

describe('when another server took over', () => {
  it('takes a new incarnation, so that what the old server may have lost is written again', async () => {
    const storage = new Storage();
    const a = startNode(storage, 'a');
    await a.registry.start();
    await storage.clock.advanceAsync(20_000);
    const first = a.registry.current();
    storage.restartEmpty();
    await storage.clock.advanceAsync(2_000);
    expect(a.changes).toEqual([a.registry.current()]);
    expect(a.registry.current()).not.toBe(first);
    expect(await a.registry.alive()).toContainEqual({ nodeId: 'a', incarnation: a.registry.current() });
    await storage.clock.advanceAsync(10_000);
    expect(a.lapsed).toEqual([]);
  });
});
