import { Logger } from '@nestjs/common';
import { WebSocketGateway } from '@nestjs/websockets';
import {
  RealtimeService,
  RoomManager,
  RoomPolicy,
  SOCKET_SERVERS,
  type CanJoin,
  type RealtimeOptions,
} from 'nestjs-realtime';
import type { Position } from 'nestjs-realtime-protocol';
import type { Server } from 'socket.io';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient } from '../support/inbox.js';
import { startRedis, type TestRedis, type TestRedisClient } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';
import { watchUnhandled } from './bus-nodes.js';

watchUnhandled();

@WebSocketGateway()
class AppGateway {}

/** A name without a part of the app's own: clients may choose any. */
@RoomPolicy(':room', { presence: true, history: { size: 10, ttlMs: 600_000 } })
class AnyRoomPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

const providers = [AppGateway, AnyRoomPolicy];

const memberOf = (node: TestApp, user: string, claims = {}) =>
  connectedClient(node.url, { auth: { token: mintToken(user, claims) } });
const refusalOf = (node: TestApp, user: string) =>
  memberOf(node, user).then(
    () => undefined,
    (error: Error & { data?: unknown }) => error.data,
  );
const serverOf = (node: TestApp): Server => node.app.get<() => Server[]>(SOCKET_SERVERS)()[0] as Server;

describe.each(['nodes', 'idx', 'req', 'rate', 'commands'])('when a client joins a room called %s', (room) => {
  it('has a room like any other: commands are kept, later ones are taken, nodes start', async () => {
    await using redis = await startRedis();
    const realtime: Partial<RealtimeOptions> = { redis: { url: redis.url } };
    await using one = await bootApp({ providers, realtime });
    await one.app.get(RealtimeService).revoke({ userId: 'eve', issuedBefore: new Date(Date.now() + 60_000) });
    await using ada = await memberOf(one, 'ada');
    const joined = (await ada.ask('realtime:join', { room })) as { position: Position };
    expect(joined).toMatchObject({ room, position: { offset: 0 } });
    await one.app.get(RoomManager).publish(room, 'said', 1);
    expect((await ada.inbox.next('said')).args[0]).toBe(1);
    await one.app.get(RealtimeService).revoke({ userId: 'bob', issuedBefore: new Date(Date.now() + 60_000) });
    await using two = await bootApp({ providers, realtime });
    for (const user of ['eve', 'bob']) expect(await refusalOf(two, user)).toMatchObject({ code: 'REVOKED' });
    await using late = await memberOf(two, 'late');
    const found = await late.ask('realtime:join', { room, position: joined.position });
    expect(found).toMatchObject({ recovered: true, publications: [expect.anything()] });
    await two.app.get(RoomManager).kick(room, { userId: 'ada' });
    expect((await ada.inbox.next('realtime:room')).args[0]).toMatchObject({ room, status: 'kicked' });
  });
});

describe('when a key of a room holds something else', () => {
  it('leaves it there, and refuses', async () => {
    await using redis = await startRedis();
    const client = await redis.client();
    await using node = await bootApp({ providers, realtime: { redis: { url: redis.url, commandTimeoutMs: 60_000 } } });
    const rooms = node.app.get(RoomManager);
    await client.zAdd('rt:{taken}:log', { score: 1, value: 'not ours' });
    await using ada = await memberOf(node, 'ada');
    expect(await ada.ask('realtime:join', { room: 'taken' })).toMatchObject({ error: { code: 'INTERNAL' } });
    await expect(rooms.publish('taken', 'said', 1)).rejects.toThrow();
    // Also with a log that is known already.
    await rooms.publish('later', 'said', 1);
    await client.del('rt:{later}:log');
    await client.set('rt:{later}:log', 'not ours');
    await expect(rooms.clear('later')).rejects.toThrow();
    expect(await client.zRange('rt:{taken}:log', 0, -1)).toEqual(['not ours']);
    expect(await client.get('rt:{later}:log')).toBe('not ours');
  });
});

/** Does what a node of the version before did with the command log: the same scripts, under the names of then. */
class OlderNode {
  #offset = 0;

  constructor(private readonly client: TestRedisClient) {}

  async leases(nodeId: string): Promise<void> {
    await this.client.zAdd('rt:{nodes}:leases', { score: Date.now() + 600_000, value: 'i1' });
    await this.client.hSet('rt:{nodes}:ids', 'i1', nodeId);
  }

  /** Kept, and published unless it is to be found in the log only. */
  async revokes(userId: string, { isHeard }: { isHeard: boolean }): Promise<void> {
    const server = /master_replid:(\w+)/.exec(await this.client.info('replication'))?.[1] ?? '';
    this.#offset = Number((await this.client.hGet('rt:{nodes}:log:meta', 'offset')) ?? 0) + 1;
    const epoch = (await this.client.hGet('rt:{nodes}:log:meta', 'epoch')) ?? 'e1';
    await this.client.hSet('rt:{nodes}:log:meta', { server, epoch, offset: this.#offset });
    const command = { kind: 'revoke', userId, issuedBefore: Date.now() + 60_000, at: Date.now() };
    const body = { id: `older ${this.#offset}`, command };
    await this.client.zAdd('rt:{nodes}:log', { score: this.#offset, value: `${this.#offset}:${JSON.stringify(body)}` });
    await this.client.zAdd('rt:{nodes}:log:expiry', { score: Date.now() + 600_000, value: String(this.#offset) });
    const message = JSON.stringify({ position: { epoch, offset: this.#offset }, ...body });
    if (isHeard) await this.client.publish('rt:{nodes}:commands', message);
  }

  /** Users of the revocations that it finds. */
  async finds(): Promise<string[]> {
    const entries = await this.client.zRange('rt:{nodes}:log', 0, -1);
    return entries.map(
      (entry) => (JSON.parse(entry.slice(entry.indexOf(':') + 1)) as { command: { userId: string } }).command.userId,
    );
  }
}

describe('when nodes of the version before, with other key names, share the Redis', () => {
  let redis: TestRedis;
  let older: OlderNode;

  beforeEach(async () => {
    redis = await startRedis();
    older = new OlderNode(await redis.client());
  });
  afterEach(() => redis[Symbol.asyncDispose]());

  it('carries out what they revoke, at once, and at boot what they have revoked', async () => {
    const realtime: Partial<RealtimeOptions> = { redis: { url: redis.url } };
    await older.revokes('early', { isHeard: false });
    await using one = await bootApp({ providers, realtime });
    expect(await refusalOf(one, 'early')).toMatchObject({ code: 'REVOKED' });
    await using ada = await memberOf(one, 'ada');
    await older.revokes('ada', { isHeard: true });
    expect((await ada.inbox.next('realtime:bye')).args[0]).toMatchObject({ code: 'REVOKED' });
    // After the last of them has gone, a node that starts still knows.
    await using two = await bootApp({ providers, realtime });
    for (const user of ['early', 'ada']) expect(await refusalOf(two, user)).toMatchObject({ code: 'REVOKED' });
  });

  it('names them once', async () => {
    await older.leases('before-1');
    const warnings: string[] = [];
    const silent = (): void => undefined;
    Logger.overrideLogger({ log: silent, error: silent, warn: (line: string) => warnings.push(line) });
    try {
      await using node = await bootApp({ providers, realtime: { redis: { url: redis.url } }, logger: 'log' });
      await using ada = await memberOf(node, 'ada');
      expect(ada.socket.connected).toBe(true);
      await eventually(() => expect(warnings.filter((line) => line.includes('before-1'))).toHaveLength(1));
    } finally {
      Logger.overrideLogger(false);
    }
  });

  it('tells them what is revoked here, by their channel and in their log, and carries it out once', async () => {
    await using node = await bootApp({ providers, realtime: { redis: { url: redis.url } } });
    const heard: string[] = [];
    const ear = await redis.client();
    await ear.subscribe('rt:{nodes}:commands', (message) => heard.push(message));
    await using ada = await memberOf(node, 'ada', { jti: 'one' });
    await node.app.get(RealtimeService).revoke({ userId: 'ada', issuedBefore: new Date(Date.now() + 60_000) });
    expect((await ada.inbox.next('realtime:bye')).args[0]).toMatchObject({ code: 'REVOKED' });
    expect(await older.finds()).toEqual(['ada']);
    expect(heard).toEqual([expect.stringContaining('"userId":"ada"')]);
  });

  it('goes on when a room has taken the key of their log', async () => {
    await (await redis.client()).xAdd('rt:{nodes}:log', '*', { t: '1', m: 'mtext' });
    await using node = await bootApp({ providers, realtime: { redis: { url: redis.url } } });
    await node.app.get(RealtimeService).revoke({ userId: 'eve', issuedBefore: new Date(Date.now() + 60_000) });
    expect(await refusalOf(node, 'eve')).toMatchObject({ code: 'REVOKED' });
    expect(await (await redis.client()).xLen('rt:{nodes}:log')).toBe(1);
  });
});

describe('when two apps share a Redis under two prefixes', () => {
  it('are apart in everything, Socket.IO’s own calls too', async () => {
    await using redis = await startRedis();
    const place = (keyPrefix: string): Partial<RealtimeOptions> => ({ redis: { url: redis.url, keyPrefix } });
    await using a = await bootApp({ providers, realtime: place('a:') });
    await using b = await bootApp({ providers, realtime: place('b:') });
    await using inA = await memberOf(a, 'ada');
    await using inB = await memberOf(b, 'bob');
    for (const client of [inA, inB]) await client.ask('realtime:join', { room: 'same' });
    const server = serverOf(a);
    server.emit('native', 'of a');
    server.to('same').emit('native-room', 'of a');
    a.app.get(RoomManager).emit('same', 'emitted', 'of a');
    await a.app.get(RoomManager).publish('same', 'published', 'of a');
    await a.app.get(RealtimeService).toUser('bob').publish('to-user', 'of a');
    expect((await server.fetchSockets()).map(({ id }) => id)).toEqual([inA.socket.id]);
    server.disconnectSockets(true);
    await inA.inbox.next('disconnect');
    // What comes last in b's own channels comes after all that could have come from a.
    serverOf(b).to('same').emit('marker', 1);
    await b.app.get(RoomManager).publish('same', 'end', 1);
    for (const event of ['marker', 'end']) await inB.inbox.next(event);
    const events = inB.inbox.all.map(({ event }) => event).filter((event) => !event.startsWith('realtime:'));
    expect(events).toEqual(['connect', ...events.slice(1).filter((event) => ['marker', 'end'].includes(event))]);
    expect(inB.socket.connected).toBe(true);
  });
});
