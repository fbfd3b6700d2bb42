import type { Incarnation } from '../core/ids.js';
import { RealtimeError } from '../core/realtime-error.js';
import { MemoryPresenceStore } from '../memory/memory-presence-store.js';
import { ManualClock } from '../testing/manual-clock.js';
import { NodePresence, type NodePresenceOptions } from './node-presence.js';
import type { PresenceStore, PresenceTransition } from './presence-store.js';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Weather = 'open' | 'refused' | 'answers-lost' | 'slow';

/** The link between a node and its store. */
function linked(store: MemoryPresenceStore) {
  const link = { weather: 'open' as Weather, calls: 0, release: (): Promise<void> => settle() };
  const held: (() => void)[] = [];
  link.release = () => {
    for (const go of held.splice(0)) go();
    return settle();
  };
  const pass = async <Result>(call: () => Promise<Result>): Promise<Result> => {
    link.calls += 1;
    if (link.weather === 'refused') throw Object.assign(new RealtimeError('UNAVAILABLE'), { maybeWritten: false });
    if (link.weather === 'slow') await new Promise<void>((resolve) => held.push(resolve));
    const result = await call();
    if (link.weather === 'answers-lost') throw Object.assign(new RealtimeError('UNAVAILABLE'), { maybeWritten: true });
    return result;
  };
  const through: PresenceStore = Object.assign(Object.create(store) as PresenceStore, {
    enter: (...args: Parameters<PresenceStore['enter']>) => pass(() => store.enter(...args)),
    leave: (...args: Parameters<PresenceStore['leave']>) => pass(() => store.leave(...args)),
    update: (...args: Parameters<PresenceStore['update']>) => pass(() => store.update(...args)),
  });
  return { link, through };
}

function nodeOn(
  clock: ManualClock,
  store: MemoryPresenceStore,
  first: string,
  more: Partial<NodePresenceOptions> = {},
) {
  const { link, through } = linked(store);
  const transitions: PresenceTransition[] = [];
  const sizes: number[] = [];
  let incarnation = first as Incarnation;
  const listeners = new Set<(next: Incarnation, previous: Incarnation) => void>();
  const node = new NodePresence({
    store: through,
    clock,
    incarnations: {
      current: () => incarnation,
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    onTransition: (transition) => transitions.push(transition),
    metrics: { presenceEntries: (size) => sizes.push(size), dropped: () => undefined },
    ...more,
  });
  const rebirth = async (next: string): Promise<void> => {
    const previous = incarnation;
    incarnation = next as Incarnation;
    for (const listener of listeners) listener(incarnation, previous);
    await settle();
  };
  return { node, link, transitions, sizes, listeners, rebirth, kinds: () => transitions.map(({ kind }) => kind) };
}

function world(more: Partial<NodePresenceOptions> = {}) {
  const clock = new ManualClock();
  const store = new MemoryPresenceStore({ clock, publish: () => undefined });
  const owners = async (): Promise<string[]> => {
    const { entries } = await store.entries('r', { limit: 1_000 });
    return entries.map(({ connectionId, incarnation }) => `${connectionId}@${incarnation}`).sort();
  };
  return { clock, store, owners, ...nodeOn(clock, store, 'n1.1', more) };
}

const ada = { userId: 'ada', connectionId: 'c1', device: 'd' };
const ada2 = { userId: 'ada', connectionId: 'c2', device: 'e' };

describe('when connections enter and leave', () => {
  it('reports each transition once and counts what it holds', async () => {
    const { node, kinds, sizes, owners } = world();
    await node.enter('r', ada);
    await node.enter('r', ada2);
    expect([node.size, await owners()]).toEqual([2, ['c1@n1.1', 'c2@n1.1']]);
    await node.update('r', ada, { typing: true });
    expect(await node.leave('r', ada2)).toMatchObject({ kind: 'update' });
    expect(await node.leave('r', ada)).toMatchObject({ kind: 'leave', empty: true });
    expect(await node.leave('r', ada)).toBeUndefined();
    expect(kinds()).toEqual(['join', 'update', 'update', 'update', 'leave']);
    expect(sizes).toEqual([1, 2, 1, 0]);
  });

  it('keeps nothing of a refused entry', async () => {
    const { node, owners } = world();
    await node.enter('r', ada, { maxTotal: 1 });
    expect(await node.enter('r', ada2, { maxTotal: 1 })).toEqual({ status: 'full', count: 1 });
    await expect(node.enter('r', { ...ada2, meta: 'x'.repeat(3_000) })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await node.restoreAll();
    expect([node.size, await owners()]).toEqual([1, ['c1@n1.1']]);
  });

  it('does not restore what was evicted', async () => {
    const { node, owners } = world();
    await node.enter('r', ada);
    await node.enter('r', ada2, { maxPerUser: 1, onFull: 'evict-oldest' });
    await node.restoreAll();
    expect([node.size, await owners()]).toEqual([1, ['c2@n1.1']]);
  });

  it('refuses an update without an entry', async () => {
    const { node } = world();
    await expect(node.update('r', ada, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lets a leave win over an enter in flight', async () => {
    const { node, link, kinds, owners } = world();
    link.weather = 'slow';
    const entering = node.enter('r', ada);
    const leaving = node.leave('r', ada);
    expect(node.size).toBe(0);
    await settle();
    link.weather = 'open';
    await link.release();
    await Promise.all([entering, leaving]);
    expect([kinds(), await owners()]).toEqual([['join', 'leave'], []]);
  });

  it('does not let a new enter overtake the leave before it', async () => {
    const { node, link, kinds, owners } = world();
    await node.enter('r', ada);
    link.weather = 'slow';
    const leaving = node.leave('r', ada);
    const entering = node.enter('r', ada);
    await settle();
    link.weather = 'open';
    await link.release();
    await Promise.all([leaving, entering]);
    expect([kinds(), await owners(), node.size]).toEqual([['join', 'leave', 'join'], ['c1@n1.1'], 1]);
  });
});

describe('when a transport was lost', () => {
  it('leaves after the grace, and nobody leaves who came back with another connection', async () => {
    const { clock, node, kinds } = world({ leaveGraceMs: 5_000 });
    const bob = { userId: 'bob', connectionId: 'b1', device: 'd' };
    await node.enter('r', ada);
    await node.enter('r', bob);
    node.leaveLater('r', ada);
    await clock.advanceAsync(1_000);
    node.leaveLater('r', bob);
    node.leaveLater('r', ada);
    await node.enter('r', { ...ada, connectionId: 'c2' });
    await clock.advanceAsync(3_999);
    expect(node.size).toBe(3);
    await clock.advanceAsync(1);
    expect(node.size).toBe(2);
    await clock.advanceAsync(1_000);
    expect(kinds()).toEqual(['join', 'join', 'leave']);
    expect([node.size, clock.pending]).toEqual([1, 0]);
  });

  it('does not wait for an explicit leave meanwhile, and does it once', async () => {
    const { clock, node, kinds } = world();
    await node.enter('r', ada);
    node.leaveLater('r', ada);
    await node.leave('r', ada);
    await node.enter('r', ada);
    await clock.advanceAsync(60_000);
    expect(kinds()).toEqual(['join', 'leave', 'join']);
  });

  it('leaves nothing to timers after close', async () => {
    const { clock, node, owners, listeners } = world();
    await node.enter('r', ada);
    node.leaveLater('r', ada);
    await node.close();
    await clock.advanceAsync(60_000);
    expect([await owners(), clock.pending, listeners.size]).toEqual([['c1@n1.1'], 0, 0]);
    await expect(node.enter('r', ada2)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('when the store is away', () => {
  it('refuses entries, and repeats leaves until they are done', async () => {
    const { clock, node, link, kinds, owners } = world();
    await node.enter('r', ada);
    link.weather = 'refused';
    await expect(node.enter('r', ada2)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await node.leave('r', ada)).toBeUndefined();
    expect(node.size).toBe(0);
    await clock.advanceAsync(60_000);
    expect(link.calls).toBeLessThan(60);
    link.weather = 'open';
    await clock.advanceAsync(5_000);
    expect([kinds(), await owners(), clock.pending]).toEqual([['join', 'leave'], [], 0]);
  });

  it('takes an entry back whose answer was lost', async () => {
    const { clock, node, link, owners } = world();
    link.weather = 'answers-lost';
    await expect(node.enter('r', ada)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    link.weather = 'open';
    await clock.advanceAsync(5_000);
    expect([node.size, await owners()]).toEqual([0, []]);
  });

  it('does not repeat a leave over an enter that came after it', async () => {
    const { clock, node, link, owners } = world();
    await node.enter('r', ada);
    link.weather = 'refused';
    await node.leave('r', ada);
    link.weather = 'open';
    await node.enter('r', ada);
    await clock.advanceAsync(60_000);
    expect([node.size, await owners()]).toEqual([1, ['c1@n1.1']]);
  });

  it('keeps an entry on request, and announces it when the store is back', async () => {
    const { clock, node, link, kinds, owners } = world();
    link.weather = 'refused';
    expect(await node.enter('r', ada, { whenUnavailable: 'keep' })).toEqual({ status: 'kept' });
    expect(node.size).toBe(1);
    link.weather = 'open';
    await clock.advanceAsync(5_000);
    expect([kinds(), await owners()]).toEqual([['join'], ['c1@n1.1']]);
  });
});

describe('when the store lost everything', () => {
  it('restores all in batches, without a word to anybody, in spite of failures', async () => {
    const { clock, store, node, link, transitions, owners } = world();
    const entries = Array.from({ length: 250 }, (_, index) => ({
      ...ada,
      connectionId: `c${index}`,
      device: `${index}`,
    }));
    for (const entry of entries) await node.enter('r', entry);
    transitions.length = 0;
    link.calls = 0;
    store.reset();
    link.weather = 'refused';
    const restored = node.restoreAll();
    await settle();
    expect(link.calls).toBe(100);
    link.weather = 'open';
    await clock.advanceAsync(5_000);
    await restored;
    expect([transitions, (await owners()).length]).toEqual([[], 250]);
  });

  it('does not wait out the pause of earlier failures when it hears that the store is back', async () => {
    const { clock, store, node, link, owners } = world();
    await node.enter('r', ada);
    await node.enter('r', ada2);
    link.weather = 'refused';
    await node.leave('r', ada2);
    await clock.advanceAsync(60_000);
    store.reset();
    link.weather = 'open';
    await node.restoreAll();
    expect([await owners(), clock.pending]).toEqual([['c1@n1.1'], 0]);
  });

  it('restores a room that is in another epoch than its entries', async () => {
    const { store, node, link, owners } = world();
    await node.enter('r', ada);
    const [before] = await store.versions(['r']);
    link.calls = 0;
    await node.check('r', before);
    expect(link.calls).toBe(0);
    store.reset();
    const [after] = await store.versions(['r']);
    await node.check('r', after);
    expect(await owners()).toEqual(['c1@n1.1']);
  });

  it('does not bring back who left meanwhile', async () => {
    const { store, node, owners, kinds } = world();
    await node.enter('r', ada);
    store.reset();
    await node.leave('r', ada);
    await node.restoreAll();
    expect([kinds(), await owners()]).toEqual([['join'], []]);
  });
});

describe('when the node takes a new incarnation', () => {
  it('moves what lives to it, without a word, and leaves work', async () => {
    const { node, rebirth, kinds, owners, store } = world();
    await node.enter('r', ada);
    await rebirth('n1.2');
    expect(await owners()).toEqual(['c1@n1.2']);
    await store.sweep('n1.1' as Incarnation, () => undefined);
    await node.leave('r', ada);
    expect([kinds(), await owners()]).toEqual([['join', 'leave'], []]);
  });

  it('announces one leave and one join for those who were swept', async () => {
    const { clock, store, node, rebirth, kinds, owners } = world();
    const other = nodeOn(clock, store, 'n2.1');
    await node.enter('r', ada);
    await other.node.sweep('n1.1' as Incarnation);
    await other.node.sweep('n2.1' as Incarnation);
    await rebirth('n1.2');
    expect([kinds(), other.kinds(), await owners()]).toEqual([['join', 'join'], ['leave'], ['c1@n1.2']]);
  });

  it('leaves under whichever incarnation the store may know', async () => {
    const { clock, node, link, rebirth, owners } = world();
    await node.enter('r', ada);
    link.weather = 'refused';
    await rebirth('n1.2');
    await node.leave('r', ada);
    link.weather = 'open';
    await clock.advanceAsync(10_000);
    expect(await owners()).toEqual([]);
  });
});
