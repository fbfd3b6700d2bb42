import type { Position } from 'nestjs-realtime-protocol';
import { storedPositions } from './stored-positions.js';
import type { OutboxStorage } from './options.js';

const WEEK_MS = 7 * 86_400_000;
const at = (offset: number, epoch = 'e'): Position => ({ epoch, offset });

class FakeStorage implements OutboxStorage {
  readonly texts = new Map<string, string>();
  writes = 0;

  getItem(key: string): string | null {
    return this.texts.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.writes += 1;
    this.texts.set(key, value);
  }

  removeItem(key: string): void {
    this.texts.delete(key);
  }
}

/** One page; the page that goes away is told to the listener that the platform would tell. */
async function page(storage: OutboxStorage | undefined, principal: string | undefined, problems: unknown[] = []) {
  const shelf = storedPositions(storage && { storage })('http://server/chat', (_, why) => problems.push(why));
  await shelf.open(principal);
  // Whoever is somebody else has everything written that was not yet.
  return { shelf, goAway: () => shelf.open(undefined) };
}

describe('when a page is left and opened again', () => {
  it('goes on where each room was', async () => {
    const storage = new FakeStorage();
    const { shelf, goAway } = await page(storage, 'ada');
    for (let offset = 1; offset <= 9; offset += 1) shelf.set('a', at(offset));
    shelf.set('b', at(3, 'f'));
    await goAway();
    const { shelf: next } = await page(storage, 'ada');
    expect([next.get('a'), next.get('b'), next.get('c'), storage.writes]).toEqual([at(9), at(3, 'f'), undefined, 1]);
  });

  it('forgets a room that was left', async () => {
    const storage = new FakeStorage();
    const { shelf, goAway } = await page(storage, 'ada');
    shelf.set('a', at(1));
    shelf.set('a', undefined);
    await goAway();
    expect((await page(storage, 'ada')).shelf.get('a')).toBeUndefined();
  });

  it('never gives one user the positions of another, and keeps none of nobody', async () => {
    const storage = new FakeStorage();
    const { shelf, goAway } = await page(storage, 'ada');
    shelf.set('a', at(1));
    await shelf.open('bob');
    expect(shelf.get('a')).toBeUndefined();
    shelf.set('a', at(5));
    await shelf.open('ada');
    expect(shelf.get('a')).toEqual(at(1));
    await goAway();
    shelf.set('a', at(7));
    expect([shelf.get('a'), storage.texts.size]).toEqual([undefined, 2]);
  });

  it('leaves alone what another tab moved', async () => {
    const storage = new FakeStorage();
    const [first, second] = [await page(storage, 'ada'), await page(storage, 'ada')];
    first.shelf.set('a', at(1));
    second.shelf.set('b', at(2));
    await first.goAway();
    await second.goAway();
    const { shelf } = await page(storage, 'ada');
    expect([shelf.get('a'), shelf.get('b')]).toEqual([at(1), at(2)]);
  });

  it('keeps the 128 rooms that moved last', async () => {
    const storage = new FakeStorage();
    const { shelf, goAway } = await page(storage, 'ada');
    for (let n = 0; n < 300; n += 1) shelf.set(`room ${n}`, at(n));
    await goAway();
    const text = [...storage.texts.values()][0] ?? '';
    expect(Object.keys((JSON.parse(text) as { rooms: object }).rooms)).toHaveLength(128);
  });

  it('works with a storage that answers later', async () => {
    const sync = new FakeStorage();
    const slow: OutboxStorage = {
      getItem: async (key) => sync.getItem(key),
      setItem: async (key, value) => sync.setItem(key, value),
      removeItem: async (key) => sync.removeItem(key),
    };
    const { shelf, goAway } = await page(slow, 'ada');
    shelf.set('a', at(4));
    await goAway();
    await Promise.resolve().then(() => Promise.resolve());
    expect((await page(slow, 'ada')).shelf.get('a')).toEqual(at(4));
  });
});

describe('when what is stored is no use', () => {
  const key = 'realtime-positions:http://server/chat:ada';
  const fresh = Date.now();

  it.each([
    ['no JSON', '{'],
    ['another version', JSON.stringify({ v: 2, rooms: { a: ['e', 1, fresh] } })],
    ['no rooms', JSON.stringify({ v: 1, rooms: 7 })],
    ['an offset below 0', JSON.stringify({ v: 1, rooms: { a: ['e', -1, fresh] } })],
    ['no number', JSON.stringify({ v: 1, rooms: { a: ['e', 'x', fresh] } })],
    ['no epoch', JSON.stringify({ v: 1, rooms: { a: ['', 1, fresh] } })],
    ['older than a week', JSON.stringify({ v: 1, rooms: { a: ['e', 1, fresh - WEEK_MS] } })],
  ])('begins anew: %s', async (_, text) => {
    const storage = new FakeStorage();
    storage.texts.set(key, text);
    expect((await page(storage, 'ada')).shelf.get('a')).toBeUndefined();
  });

  it('says so when the storage is denied or full, and goes on', async () => {
    const problems: unknown[] = [];
    const denied: OutboxStorage = {
      getItem: () => null,
      setItem: () => {
        throw new Error('full');
      },
      removeItem: () => undefined,
    };
    const { shelf, goAway } = await page(denied, 'ada', problems);
    shelf.set('a', at(1));
    expect(shelf.get('a')).toEqual(at(1));
    await goAway();
    // Node has a `sessionStorage` from 25 on; a browser that denies it throws.
    const own = Object.getOwnPropertyDescriptor(globalThis, 'sessionStorage');
    const get = (): never => {
      throw new Error('denied');
    };
    Object.defineProperty(globalThis, 'sessionStorage', { configurable: true, get });
    try {
      await page(undefined, 'ada', problems);
    } finally {
      Reflect.deleteProperty(globalThis, 'sessionStorage');
      if (own) Object.defineProperty(globalThis, 'sessionStorage', own);
    }
    expect(problems).toHaveLength(2);
  });
});
