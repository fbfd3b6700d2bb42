import { randomId, type RateStore } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { CLUSTER_STORES, type ClusterStores } from './cluster-stores.js';
import { EVERY_ENGINE } from '../support/redis-kinds.js';

const ran = new Set<string>();

describe.each(Object.entries(CLUSTER_STORES))('the rate store in %s', (name, create) => {
  let stores: ClusterStores;
  let rates: RateStore;

  beforeAll(async () => {
    stores = await create();
    rates = stores.rates;
    ran.add(name);
  });
  afterAll(() => stores[Symbol.asyncDispose]());

  it('counts hits in a window and blocks what exceeds the limit', async () => {
    const key = randomId();
    const options = { ttlMs: 3_600_000, limit: 2, blockMs: 7_200_000 };
    const hits = [];
    for (let i = 0; i < 4; i += 1) hits.push(await rates.hit(key, options));
    expect(hits.map((hit) => hit.hits)).toEqual([1, 2, 3, 3]);
    expect(hits.map((hit) => hit.isBlocked)).toEqual([false, false, true, true]);
    expect(hits[1]!.blockExpiresInMs).toBe(0);
    expect(hits[3]!.blockExpiresInMs).toBeGreaterThan(3_600_000);
    expect(hits[3]!.blockExpiresInMs).toBeLessThanOrEqual(7_200_000);
    expect(hits[0]!.expiresInMs).toBeGreaterThan(1_800_000);
    expect(hits[0]!.expiresInMs).toBeLessThanOrEqual(3_600_000);
  });

  it('counts keys apart and concurrent hits each', async () => {
    const [a, b] = [randomId(), randomId()];
    const options = { ttlMs: 3_600_000, limit: 1_000, blockMs: 0 };
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => rates.hit(i % 2 === 0 ? a : b, options)));
    expect(Math.max(...all.map(({ hits }) => hits))).toBe(100);
  });

  it('starts a new window when the old one ended', async () => {
    const key = randomId();
    const options = { ttlMs: 30, limit: 5, blockMs: 0 };
    await rates.hit(key, options);
    await eventually(async () => expect((await rates.hit(key, { ...options, limit: 1_000 })).hits).toBe(1));
  });

  it('lets a blocked key in again when the block is over', async () => {
    const key = randomId();
    const options = { ttlMs: 3_600_000, limit: 1, blockMs: 40 };
    await rates.hit(key, options);
    expect((await rates.hit(key, options)).isBlocked).toBe(true);
    await eventually(async () => expect(await rates.hit(key, options)).toMatchObject({ isBlocked: false, hits: 1 }));
  });

  it('blocks until the end of the window without a block time', async () => {
    const key = randomId();
    const options = { ttlMs: 3_600_000, limit: 1, blockMs: 0 };
    await rates.hit(key, options);
    const hit = await rates.hit(key, options);
    expect(hit).toMatchObject({ isBlocked: true, hits: 2 });
    expect(Math.abs(hit.blockExpiresInMs - hit.expiresInMs)).toBeLessThanOrEqual(1);
  });
});

it('ran against every engine', () => expect([...ran].sort()).toEqual([...EVERY_ENGINE].sort()));
