import { randomBytes } from 'node:crypto';
import { WebSocketGateway } from '@nestjs/websockets';
import {
  RealtimeService,
  RoomManager,
  RoomPolicy,
  type CanJoin,
  type CanPublish,
  type JoinDecision,
} from 'nestjs-realtime';
import {
  createRealtimeClient,
  storedPositions,
  type OutboxStorage,
  type RealtimeClient,
  type RealtimeClientOptions,
  type RealtimeRoom,
  type RoomGap,
} from 'nestjs-realtime-client';
import { bootPair, type AppPair } from '../support/app-pair.js';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { hammerOn } from '../support/room-log.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { mintToken } from '../support/tokens.js';

/** Keeps what is published while a client comes back, however long that takes. */
@RoomPolicy('chat/:id', { history: { size: 10_000, ttlMs: 3_600_000 } })
class ChatPolicy implements CanJoin, CanPublish {
  canJoin(): JoinDecision {
    return { allow: true, state: 'a topic' };
  }

  canPublish(): boolean {
    return true;
  }
}

@RoomPolicy('brief/:id', { history: { size: 5, ttlMs: 3_600_000 } })
class BriefPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway()
class AnyGateway {}

const providers = [ChatPolicy, BriefPolicy, AnyGateway];
const clients: RealtimeClient[] = [];
const roomName = (kind = 'chat'): string => `${kind}/${randomBytes(4).toString('hex')}`;
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const portOf = ({ url }: TestApp): number => Number(new URL(url).port);

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

function clientOf(url: string, options: Partial<RealtimeClientOptions> = {}): RealtimeClient {
  const client = createRealtimeClient(url, { getToken: () => mintToken('ada'), ...options });
  clients.push(client);
  return client;
}

async function publish(node: TestApp, room: string, numbers: readonly number[], data = (n: number): unknown => n) {
  for (const n of numbers) await node.app.get(RoomManager).publish(room, 'said', data(n));
}

/** All that a room tells, in its order: numbers, `gap CODE`, and its phases. */
function story(room: RealtimeRoom): unknown[] {
  const told: unknown[] = [];
  room.on('said', (data) => told.push(data));
  room.onGap(({ code }) => told.push(`gap ${code}`));
  room.onChange(({ phase }) => told.push(phase));
  return told;
}

class MemoryStorage implements OutboxStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}

describe.each(['memory', 'redis'] as const)('when a client comes back to a room with history (%s)', (engine) => {
  let pair: AppPair;
  let proxy: TcpProxy;

  beforeAll(async () => {
    pair = await bootPair(engine, { providers });
    proxy = await startTcpProxy({ port: portOf(near()) });
  });

  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await pair?.[Symbol.asyncDispose]();
  });

  const near = (): TestApp => pair.first;
  const far = (): TestApp => pair.last;
  const url = (): string => `http://127.0.0.1:${proxy.port}`;

  /** Without the wait that a crowd needs. */
  async function comesBack(client: RealtimeClient, room: RealtimeRoom): Promise<void> {
    proxy.heal();
    client.connect();
    await eventually(() => expect(room.phase).toBe('joined'));
  }

  async function cutAndHeal(client: RealtimeClient, room: RealtimeRoom): Promise<void> {
    proxy.cut();
    await eventually(() => expect(room.phase).toBe('joining'));
    await comesBack(client, room);
  }

  it('gets all 50 that it missed, once and in order, before it is joined again', async () => {
    const [client, name] = [clientOf(url()), roomName()];
    const room = client.room(name);
    const told = story(room);
    expect(await room.join()).toBe('a topic');
    await publish(far(), name, [1]);
    await eventually(() => expect(told).toContain(1));
    proxy.cut();
    await eventually(() => expect(room.phase).toBe('joining'));
    await publish(far(), name, range(2, 51));
    await comesBack(client, room);
    await publish(far(), name, [52]);
    await eventually(() => expect(told).toContain(52));
    expect(told).toEqual(['joining', 'joined', 1, 'joining', ...range(2, 51), 'joined', 52]);
    expect(room.position).toEqual({ epoch: expect.any(String), offset: 52 });
  });

  it('loses and doubles nothing while somebody publishes and connections are cut', async () => {
    const [client, name] = [clientOf(url()), roomName()];
    const room = client.room(name);
    const told: (number | 'gap')[] = [];
    room.on('said', (n) => told.push(n as number));
    room.onGap(() => told.push('gap'));
    await room.join();
    const hammer = hammerOn(far(), name, () => told.findLast((one) => typeof one === 'number') ?? 0);
    for (let cut = 0; cut < 5; cut += 1) {
      const before = told.length;
      await eventually(() => expect(told.length).toBeGreaterThan(before + 20));
      await cutAndHeal(client, room);
    }
    const last = await hammer.stop();
    await eventually(() => expect(told.at(-1)).toBe(last));
    const first = told[0] as number;
    expect(told).toEqual(range(first, last));
  });

  it('goes on after a reload where the page before was', async () => {
    const [storage, name] = [new MemoryStorage(), roomName()];
    const options = { positions: storedPositions({ storage }) };
    const first = clientOf(near().url, options);
    const seen = story(first.room(name));
    await first.room(name).join();
    await publish(far(), name, [1, 2]);
    await eventually(() => expect(seen).toContain(2));
    await eventually(() => expect([...storage.items.values()].join()).toContain(',2,'));
    first.close();
    await publish(far(), name, [3, 4]);

    const next = clientOf(far().url, {
      positions: storedPositions({ storage, key: `realtime-positions:${near().url}` }),
    });
    const told = story(next.room(name));
    await next.room(name).join();
    expect(told).toEqual(['joining', 3, 4, 'joined']);
  });

  it('is told at which place it missed more than the room keeps', async () => {
    const [client, name] = [clientOf(url()), roomName('brief')];
    const room = client.room(name);
    const gaps: RoomGap[] = [];
    room.onGap((gap) => gaps.push(gap));
    const told = story(room);
    await room.join();
    proxy.cut();
    await eventually(() => expect(room.phase).toBe('joining'));
    await publish(far(), name, range(1, 9));
    await comesBack(client, room);
    await publish(far(), name, [10]);
    await eventually(() => expect(told).toContain(10));
    expect(told).toEqual(['joining', 'joined', 'joining', 'gap NOT_FOUND', 'joined', 10]);
    expect(gaps).toEqual([{ code: 'NOT_FOUND', position: { epoch: expect.any(String), offset: 9 } }]);
    expect((await room.history()).publications.map(({ data }) => data)).toEqual(range(6, 10));
  });

  it('gives a newcomer all that the room keeps, if asked', async () => {
    const name = roomName();
    await publish(far(), name, range(1, 3));
    const [plain, eager] = [clientOf(near().url).room(name), clientOf(near().url).room(name)];
    const [told, all] = [story(plain), story(eager)];
    await plain.join();
    await eager.join({ since: 'retention' });
    expect([told, all]).toEqual([
      ['joining', 'joined'],
      ['joining', 1, 2, 3, 'joined'],
    ]);
  });

  it('pages back', async () => {
    const name = roomName();
    const room = clientOf(near().url).room(name);
    await room.join();
    await publish(far(), name, range(1, 25));
    const pages: unknown[][] = [];
    let page = await room.history({ limit: 10 });
    for (;;) {
      pages.unshift(page.publications.map(({ data }) => data));
      const oldest = page.publications[0];
      if (!page.hasMore || !oldest) break;
      page = await room.history({ limit: 10, before: { ...page.position, offset: oldest.offset } });
    }
    expect(pages).toEqual([range(1, 5), range(6, 15), range(16, 25)]);
    await expect(room.history({ before: { epoch: 'made-up', offset: 3 } })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('learns where its own publication is', async () => {
    const room = clientOf(near().url).room(roomName());
    const heard = new Promise((resolve) => room.on('said', (_, meta) => resolve(meta)));
    await room.join();
    const answer = await room.publish('said', 1);
    expect(answer).toEqual({ id: expect.any(String), epoch: expect.any(String), offset: 1 });
    expect(await heard).toMatchObject(answer);
  });

  it('begins anew after it left', async () => {
    const name = roomName();
    const room = clientOf(near().url).room(name);
    const told = story(room);
    await room.join();
    await room.leave();
    await publish(far(), name, [1]);
    await room.join();
    await publish(far(), name, [2]);
    await eventually(() => expect(told).toContain(2));
    expect(told).toEqual(['joining', 'joined', 'left', 'joining', 'joined', 2]);
  });

  it('gets what was sent to its user meanwhile, on each device once', async () => {
    const user = randomBytes(4).toString('hex');
    const getToken = () => mintToken(user);
    const told: string[][] = [[], []];
    const devices = told.map((heard) => {
      const client = clientOf(url(), { getToken, userRoom: true });
      client.on('notification', (text) => heard.push(String(text)));
      client.connect();
      return client;
    });
    const isIn = (client: RealtimeClient): boolean => client.room(client.hello?.userRoom ?? '').phase === 'joined';
    await eventually(() => expect(devices.every(isIn)).toBe(true));
    const notify = (text: string) => far().app.get(RealtimeService).toUser(user).publish('notification', text);
    await notify('while there');
    await eventually(() => expect(told).toEqual([['while there'], ['while there']]));
    proxy.cut();
    await eventually(() => expect(devices.some(isIn)).toBe(false));
    await notify('while away');
    proxy.heal();
    for (const client of devices) client.connect();
    await eventually(() => expect(devices.every(isIn)).toBe(true));
    await notify('back');
    const all = ['while there', 'while away', 'back'];
    await eventually(() => expect(told).toEqual([all, all]));
  });
});

describe('when much was missed in many rooms', () => {
  it('asks again for those whose turn comes later, though somebody waits for them', async () => {
    await using app = await bootApp({ providers, realtime: { limits: { maxSendBufferBytes: 262_144 } } });
    const names = range(1, 12).map(() => roomName());
    for (const name of names) await publish(app, name, range(1, 4), (n) => `${n}${'x'.repeat(8_000)}`);
    const client = clientOf(app.url);
    const told = names.map((name) => story(client.room(name)));
    await Promise.all(names.map((name) => client.room(name).join({ since: 'retention' })));
    const short = told.map((all) => all.map((one) => String(one).slice(0, 7).replace(/x+$/, '')));
    for (const all of short) expect(all).toEqual(['joining', '1', '2', '3', '4', 'joined']);
    expect(client.state).toBe('connected');
  });
});

describe('when the server restarts, and had everything in its memory', () => {
  it('tells a gap: nobody knows what was missed', async () => {
    const first = await bootApp({ providers, port: await freePort() });
    const [client, name] = [clientOf(first.url), roomName()];
    const room = client.room(name);
    const told = story(room);
    await room.join();
    await publish(first, name, [1, 2, 3]);
    await eventually(() => expect(told).toContain(3));
    await first[Symbol.asyncDispose]();
    await eventually(() => expect(room.phase).toBe('joining'));
    await using second = await bootApp({ providers, port: portOf(first) });
    await eventually(() => expect(told.slice(-1)).toEqual(['joined']));
    await publish(second, name, [4]);
    await eventually(() => expect(told).toContain(4));
    expect(told).toEqual(['joining', 'joined', 1, 2, 3, 'joining', 'gap UNKNOWN', 'joined', 4]);
    expect(room.position?.offset).toBe(1);
  });
});
