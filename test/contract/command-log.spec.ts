import { COMMANDS_CHANNEL, type ClusterCommand, type CommandLog } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { Inbox } from '../support/inbox.js';
import { CLUSTER_STORES, type ClusterStores } from './cluster-stores.js';
import { EVERY_ENGINE } from '../support/redis-kinds.js';

const ran = new Set<string>();
const revoke = (userId: string): ClusterCommand => ({ kind: 'revoke', userId, at: 1_700_000_000_000 });

describe.each(Object.entries(CLUSTER_STORES))('the command log in %s', (name, create) => {
  let stores: ClusterStores;
  let log: CommandLog;

  beforeEach(async () => {
    stores = await create();
    log = stores.log;
    ran.add(name);
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  it('is empty at first, with a top of offset 0', async () => {
    const { commands, top } = await log.read();
    expect(commands).toEqual([]);
    expect(top).toEqual({ epoch: expect.stringMatching(/.+/), offset: 0 });
  });

  it('appends with offsets that count up by one in one epoch, and reads what comes after a position', async () => {
    const positions = [];
    for (const id of ['a', 'b', 'c']) positions.push(await log.append(revoke(id)));
    expect(positions.map(({ offset }) => offset)).toEqual([1, 2, 3]);
    expect(new Set(positions.map(({ epoch }) => epoch)).size).toBe(1);
    const { commands, top } = await log.read(positions[0]);
    expect(commands.map(({ command }) => command)).toEqual([revoke('b'), revoke('c')]);
    expect(commands.map(({ position }) => position)).toEqual(positions.slice(1));
    expect(top).toEqual(positions[2]);
  });

  it('gives everything for a position of another epoch', async () => {
    await log.append(revoke('a'));
    const { commands } = await log.read({ epoch: 'another', offset: 40 });
    expect(commands.map(({ command }) => command)).toEqual([revoke('a')]);
  });

  it('reads more than one page', async () => {
    await Promise.all(Array.from({ length: 1_203 }, (_, i) => log.append(revoke(`u${i}`))));
    const { commands, top } = await log.read();
    expect(commands).toHaveLength(1_203);
    expect(new Set(commands.map(({ id }) => id)).size).toBe(1_203);
    expect(commands.map(({ position }) => position.offset)).toEqual(Array.from({ length: 1_203 }, (_, i) => i + 1));
    expect(top.offset).toBe(1_203);
  });

  it('publishes each command as it is read', async () => {
    const received = new Inbox();
    await stores.bus.subscribe(COMMANDS_CHANNEL, (payload) => received.push(payload));
    const command: ClusterCommand = { kind: 'kick', room: 'chat/ä"1', userId: 'u', reason: 'line\nbreak' };
    await log.append(command);
    await log.append(revoke('the last'));
    await received.next(({ event }) => event.includes('the last'));
    const { commands } = await log.read();
    expect(commands.map((logged) => logged.command)).toEqual([command, revoke('the last')]);
    expect(received.all.map(({ event }) => JSON.parse(event) as unknown)).toEqual(commands);
  });

  it('forgets actions before revocations, and keeps counting', async () => {
    const { hasty } = stores;
    await hasty.append({ kind: 'disconnect', userId: 'u', code: 'FORBIDDEN' });
    await hasty.append(revoke('a'));
    await eventually(async () => {
      expect((await hasty.read()).commands.map(({ command }) => command)).toEqual([revoke('a')]);
    });
    await expect(hasty.append(revoke('b'))).resolves.toMatchObject({ offset: 3 });
  });
});

it('ran against every engine', () => expect([...ran].sort()).toEqual([...EVERY_ENGINE].sort()));
