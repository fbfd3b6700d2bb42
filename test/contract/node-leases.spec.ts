import { randomId, type Incarnation, type NodeId, type NodeLeases } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { CLUSTER_STORES, type ClusterStores } from './cluster-stores.js';
import { EVERY_ENGINE } from '../support/redis-kinds.js';

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
    await expect(leases.renew(a, 60_000)).resolves.toMatchObject({ status: 'held', lapsed: [] });
    await expect(leases.renew(b, 60_000)).resolves.toMatchObject({ status: 'held' });
    expect(await leases.alive()).toEqual(expect.arrayContaining([a, b]));
  });

  it('names the same server and the top of the command log each time', async () => {
    const first = await leases.renew(node(), 60_000);
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
    await expect(leases.renew(lapsing, 60_000)).resolves.toMatchObject({ status: 'lost' });
  });

  it('reports a buried incarnation once more for its second sweep, then never again', async () => {
    const dead = node();
    await leases.renew(dead, 1);
    await untilLapsed(dead.incarnation);
    await expect(leases.bury(dead.incarnation, 150)).resolves.toBe('dead');
    await expect(leases.bury(dead.incarnation, 150)).resolves.toBe('unchanged');
    expect((await leases.look()).lapsed).not.toContain(dead.incarnation);
    await untilLapsed(dead.incarnation);
    await expect(leases.bury(dead.incarnation, 150)).resolves.toBe('forgotten');
    expect((await leases.look()).lapsed).not.toContain(dead.incarnation);
    await expect(leases.renew(dead, 60_000)).resolves.toMatchObject({ status: 'lost' });
  });

  it('does not bury whose lease runs', async () => {
    const living = node();
    await leases.renew(living, 60_000);
    await expect(leases.bury(living.incarnation, 0)).resolves.toBe('unchanged');
    await expect(leases.renew(living, 60_000)).resolves.toMatchObject({ status: 'held' });
  });

  it('lets a released lease run out at once, or in time, never later than before', async () => {
    const [now, later, short] = [node(), node(), node()];
    for (const each of [now, later]) await leases.renew(each, 60_000);
    await leases.renew(short, 20);
    await leases.release(now.incarnation, 0);
    await leases.release(later.incarnation, 200);
    await leases.release(short.incarnation, 60_000);
    const { lapsed } = await leases.look();
    expect(lapsed).toContain(now.incarnation);
    expect(lapsed).not.toContain(later.incarnation);
    await untilLapsed(later.incarnation);
    await untilLapsed(short.incarnation);
  });

  it('ignores the release of an unknown incarnation', async () => {
    const stranger = node();
    await leases.release(stranger.incarnation, 0);
    expect((await leases.look()).lapsed).not.toContain(stranger.incarnation);
  });
});

it('ran against every engine', () => expect([...ran].sort()).toEqual([...EVERY_ENGINE].sort()));
