import { randomId, type Incarnation, type NodeId, type NodeLeases } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { CLUSTER_STORES, type ClusterStores } from './cluster-stores.js';
import { EVERY_ENGINE } from '../support/redis-kinds.js';

/** No test lasts so long, whatever stops it. */
const LONG_MS = 3_600_000;
const ran = new Set<string>();
const node = () => ({ nodeId: randomId<NodeId>(), incarnation: randomId<Incarnation>() });

describe.each(Object.entries(CLUSTER_STORES))('node leases in %s', (name, create) => {
  let stores: ClusterStores;
  let leases: NodeLeases;

  beforeAll(async () => {
    stores = await create();
    leases = stores.leases;
    ran.add(name);
  });
  afterAll(() => stores[Symbol.asyncDispose]());

  const untilLapsed = (incarnation: Incarnation) =>
    eventually(async () => expect((await leases.look()).lapsed).toContain(incarnation));

  it('holds a lease and shows who is alive', async () => {
    const [a, b] = [node(), node()];
    await expect(leases.renew(a, LONG_MS)).resolves.toMatchObject({ status: 'held', lapsed: [] });
    await expect(leases.renew(b, LONG_MS)).resolves.toMatchObject({ status: 'held' });
    expect(await leases.alive()).toEqual(expect.arrayContaining([a, b]));
  });

  it('names the same server and the top of the command log each time', async () => {
    const first = await leases.renew(node(), LONG_MS);
    const position = await stores.log.append({ kind: 'close-room', room: 'x' });
    const second = await leases.look();
    expect(second.serverId).toBe(first.serverId);
    expect(second.serverId).not.toBe('');
    expect(second.commands).toEqual(position);
  });

  it('reports a lapsed lease, which is not alive and is never given back', async () => {
    const lapsing = node();
    await leases.renew(lapsing, 20);
    await untilLapsed(lapsing.incarnation);
    expect(await leases.alive()).not.toContainEqual(lapsing);
    await expect(leases.renew(lapsing, LONG_MS)).resolves.toMatchObject({ status: 'lost' });
  });

  it('reports a buried incarnation once more for its second sweep, then never again', async () => {
    const dead = node();
    await leases.renew(dead, 1);
    await untilLapsed(dead.incarnation);
    await expect(leases.bury(dead.incarnation, 1)).resolves.toBe('dead');
    await untilLapsed(dead.incarnation);
    await expect(leases.bury(dead.incarnation, 1)).resolves.toBe('forgotten');
    expect((await leases.look()).lapsed).not.toContain(dead.incarnation);
    await expect(leases.renew(dead, LONG_MS)).resolves.toMatchObject({ status: 'lost' });
  });

  it('does not report a buried incarnation before its second sweep is due', async () => {
    const dead = node();
    await leases.renew(dead, 1);
    await untilLapsed(dead.incarnation);
    await expect(leases.bury(dead.incarnation, LONG_MS)).resolves.toBe('dead');
    await expect(leases.bury(dead.incarnation, LONG_MS)).resolves.toBe('unchanged');
    expect((await leases.look()).lapsed).not.toContain(dead.incarnation);
  });

  it('does not bury whose lease runs', async () => {
    const living = node();
    await leases.renew(living, LONG_MS);
    await expect(leases.bury(living.incarnation, 0)).resolves.toBe('unchanged');
    await expect(leases.renew(living, LONG_MS)).resolves.toMatchObject({ status: 'held' });
  });

  it('lets a released lease run out at once, or in time, never later than before', async () => {
    const [now, soon, later, short] = [node(), node(), node(), node()];
    for (const each of [now, soon, later]) await leases.renew(each, LONG_MS);
    await leases.renew(short, 20);
    await leases.release(now.incarnation, 0);
    await leases.release(soon.incarnation, 20);
    await leases.release(later.incarnation, LONG_MS / 2);
    await leases.release(short.incarnation, LONG_MS);
    expect((await leases.look()).lapsed).toContain(now.incarnation);
    await untilLapsed(soon.incarnation);
    await untilLapsed(short.incarnation);
    expect((await leases.look()).lapsed).not.toContain(later.incarnation);
  });

  it('ignores the release of an unknown incarnation', async () => {
    const stranger = node();
    await leases.release(stranger.incarnation, 0);
    expect((await leases.look()).lapsed).not.toContain(stranger.incarnation);
  });
});

it('ran against every engine', () => expect([...ran].sort()).toEqual([...EVERY_ENGINE].sort()));
