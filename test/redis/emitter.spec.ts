import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocketGateway } from '@nestjs/websockets';
import { RoomManager, RoomPolicy, type CanJoin } from 'nestjs-realtime';
import { RealtimeEmitter, type RealtimeEmitterOptions } from 'nestjs-realtime/emitter';
import { bootApp, type TestApp } from '../support/app.js';
import { GENEROUS_MS, eventually } from '../support/eventually.js';
import { connectedClient } from '../support/inbox.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway()
class AppGateway {}

@RoomPolicy('chat/:id', { history: { size: 50, ttlMs: 600_000 } })
class ChatPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@RoomPolicy('hints/:id')
class HintsPolicy extends ChatPolicy {}

const silent = { log: () => undefined, warn: () => undefined, error: () => undefined };
const ROOT = join(import.meta.dirname, '../..');

function memberOf(url: string, user = 'ada') {
  return connectedClient(url, { auth: { token: mintToken(user) } });
}

describe('an emitter', () => {
  const keyPrefix = `${randomBytes(6).toString('hex')}:`;
  let redis: TestRedis;
  let app: TestApp;
  let emitter: RealtimeEmitter;
  let nth = 0;
  let room: string;

  beforeAll(async () => {
    redis = await startRedis();
    app = await bootApp({
      providers: [AppGateway, ChatPolicy, HintsPolicy],
      realtime: { redis: { url: redis.url, keyPrefix }, limits: { messagesPerSecond: 0 } },
    });
    emitter = new RealtimeEmitter({ redis: { url: redis.url, keyPrefix }, logger: silent });
  });
  afterAll(async () => {
    await emitter.close();
    await app[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(() => (room = `chat/${(nth += 1)}`));

  describe('when it publishes to a room', () => {
    it('reaches its members, with the position that it was told', async () => {
      await using ada = await memberOf(app.url);
      await ada.ask('realtime:join', { room });
      const reply = await emitter.toRoom(room).publish('message', { text: 'hello' });
      expect(reply).toEqual({ id: expect.any(String), offset: 1, epoch: expect.any(String) });
      expect((await ada.inbox.next('message')).args).toEqual([{ text: 'hello' }, { room, ...reply }]);
      const binary = await emitter.toRoom(room).publish('file', { bytes: Buffer.from('abc') });
      expect((await ada.inbox.next('file')).args).toEqual([{ bytes: Buffer.from('abc') }, { room, ...binary }]);
    });

    it('publishes an id once, whether it or a node of the app was first', async () => {
      await using ada = await memberOf(app.url);
      await ada.ask('realtime:join', { room });
      const rooms = app.app.get(RoomManager);
      const row = { id: 'order 7 paid' };
      const replies = [
        await emitter.toRoom(room).publish('paid', 7, row),
        await emitter.toRoom(room).publish('paid', 7, row),
        await rooms.publish(room, 'paid', 7, row),
      ];
      expect(replies).toEqual([replies[0], replies[0], replies[0]]);
      await expect(emitter.toRoom(room).publish('paid', 8, row)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
      await emitter.toRoom(room).publish('fence', 0);
      expect((await ada.inbox.next('fence')).args).toMatchObject([0, { offset: 2 }]);
      expect(ada.inbox.all.filter(({ event }) => event === 'paid')).toHaveLength(1);
    });

    it('keeps what the room was last used with, unless it is told what to keep', async () => {
      expect(await emitter.toRoom(room).publish('a', 1)).toEqual({ id: expect.any(String) });
      const history = { size: 10, ttlMs: 60_000 };
      expect(await emitter.toRoom(room).publish('b', 2, { history })).toMatchObject({ offset: 1 });
      expect(await emitter.toRoom(room).publish('c', 3)).toMatchObject({ offset: 2 });
      expect(await emitter.toRoom(room).publish('d', 4, { history: false })).toEqual({ id: expect.any(String) });
      expect(await emitter.toRoom(room).publish('e', 5, { volatile: true })).toEqual({ id: expect.any(String) });
      const { publications } = await app.app.get(RoomManager).history(room, { limit: 10 });
      expect(publications.map(({ event, data }) => [event, data])).toEqual([
        ['b', 2],
        ['c', 3],
      ]);
    });

    it('takes several rooms at once', async () => {
      await using ada = await memberOf(app.url);
      const hints = `hints/${nth}`;
      for (const each of [room, hints]) await ada.ask('realtime:join', { room: each });
      const { positions } = await emitter.toRoom([room, hints]).publish('news', 1);
      expect(positions).toEqual({ [room]: { epoch: expect.any(String), offset: 1 } });
      const heard = [await ada.inbox.next('news'), await ada.inbox.next('news')];
      expect(new Set(heard.map(({ args }) => (args[1] as { room: string }).room))).toEqual(new Set([room, hints]));
    });

    it('emits to whoever is there, and leaves somebody out', async () => {
      await using ada = await memberOf(app.url);
      await using bob = await memberOf(app.url, 'bob');
      for (const client of [ada, bob]) await client.ask('realtime:join', { room });
      emitter.toRoom(room).emit('typing', true, { exclude: ada.socket.id ?? '' });
      emitter.toRoom(room).emit('fence');
      expect((await bob.inbox.next('typing')).args).toEqual([true, { room }]);
      await ada.inbox.next('fence');
      expect(ada.inbox.all.some(({ event }) => event === 'typing')).toBe(false);
    });
  });

  describe('when it names a user', () => {
    it('reaches each connection of the user, and keeps it for those who come back', async () => {
      const before = await emitter.toUser('zoë/1').publish('note', 1);
      expect(before).toMatchObject({ offset: 1 });
      await using zoe = await memberOf(app.url, 'zoë/1');
      const reply = await emitter.toUser('zoë/1').publish('note', 2);
      expect((await zoe.inbox.next('note')).args).toMatchObject([2, { ...reply, offset: 2 }]);
    });

    it('disconnects all of the connections', async () => {
      await using ada = await memberOf(app.url, 'eve');
      await emitter.disconnect({ userId: 'eve' }, 'Bye');
      expect((await ada.inbox.next('realtime:bye')).args).toMatchObject([{ code: 'FORBIDDEN', message: 'Bye' }]);
    });

    it('revokes credentials: the connection ends, and does not come back', async () => {
      await using mal = await memberOf(app.url, 'mal');
      await emitter.revoke({ userId: 'mal', issuedBefore: new Date(Date.now() + 60_000) });
      expect((await mal.inbox.next('realtime:bye')).args).toMatchObject([{ code: 'REVOKED' }]);
      await expect(memberOf(app.url, 'mal')).rejects.toThrow();
    });
  });

  describe('when it is misused', () => {
    it('names what is wrong with the options, all at once', () => {
      const bad = { redis: {}, publishTimeoutMs: 0, maxTokenLifeMs: Number.NaN, userHistory: { size: 0, ttlMs: 5 } };
      expect(() => new RealtimeEmitter(bad)).toThrow(
        /redis: no address.*publishTimeoutMs: must.*maxTokenLifeMs: must.*userHistory\.size.*userHistory\.ttlMs/s,
      );
      expect(() => new RealtimeEmitter({} as RealtimeEmitterOptions)).toThrow(/redis: no address/);
    });

    it('refuses targets that name nobody, and names that are ours', async () => {
      const BAD = expect.objectContaining({ code: 'BAD_REQUEST' }) as Error;
      for (const rooms of ['', [], [''], 'a b', 'realtime:x', undefined as unknown as string]) {
        expect(() => emitter.toRoom(rooms as string)).toThrow(BAD);
      }
      for (const user of ['', undefined as unknown as string]) expect(() => emitter.toUser(user)).toThrow(BAD);
      await expect(emitter.disconnect({ userId: '' })).rejects.toEqual(BAD);
      await expect(emitter.revoke({})).rejects.toEqual(BAD);
      expect(() => emitter.toRoom(room).emit('realtime:bye')).toThrow(BAD);
      await expect(emitter.toRoom(room).publish('connect', 1)).rejects.toEqual(BAD);
      await expect(emitter.toRoom(room).publish('x', 1n)).rejects.toEqual(BAD);
      await expect(emitter.toRoom(room).publish('x', 1, { id: 'x'.repeat(10_000) })).rejects.toEqual(BAD);
      const history = { size: 1e9, ttlMs: 60_000 };
      await expect(emitter.toRoom(room).publish('x', 1, { history })).rejects.toEqual(BAD);
      const large = emitter.toRoom(room).publish('x', 'x'.repeat(4_194_304));
      await expect(large).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    });
  });
});

describe('when Redis is away', () => {
  it('refuses within its deadline, and carries on when Redis is back', async () => {
    await using redis = await startRedis();
    const keyPrefix = `${randomBytes(6).toString('hex')}:`;
    const own = new RealtimeEmitter({ redis: { url: redis.url, keyPrefix }, publishTimeoutMs: 400, logger: silent });
    await own.ready();
    await redis.stop();
    await eventually(() => expect(own.isUp).toBe(false));
    const since = performance.now();
    const calls = [
      own.toUser('ada').publish('note', 1),
      own.toUser('ada').publish('note', 1, { volatile: true, id: 'v' }),
      own.disconnect({ userId: 'ada' }),
      own.revoke({ userId: 'ada' }),
    ];
    own.toRoom('chat/1').emit('hint');
    const outcomes = await Promise.allSettled(calls);
    expect(performance.now() - since).toBeLessThan(2_000);
    const unavailable = { status: 'rejected', reason: expect.objectContaining({ code: 'UNAVAILABLE' }) };
    expect(outcomes).toEqual(calls.map(() => unavailable));
    await redis.restart();
    const patient = new RealtimeEmitter({ redis: { url: redis.url, keyPrefix }, logger: silent });
    expect(await patient.toUser('ada').publish('note', 2)).toMatchObject({ offset: 1 });
    await Promise.all([own.close(), patient.close(), patient.close()]);
    await expect(patient.toUser('ada').publish('note', 3)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(patient.disconnect({ userId: 'ada' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('settles what it was doing when it is closed', async () => {
    await using redis = await startRedis();
    const own = new RealtimeEmitter({ redis: { url: redis.url }, logger: silent });
    await own.ready();
    await redis.stop();
    await eventually(() => expect(own.isUp).toBe(false));
    const waiting = own.toUser('ada').publish('note', 1);
    await Promise.all([own.close(), expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE' })]);
  });
});

describe('when a script uses it', () => {
  it('needs no Nest, and lets the process end', async () => {
    await using redis = await startRedis();
    const worker = join(ROOT, 'dist/test-apps/emitter-worker.js');
    if (!existsSync(worker)) throw new Error('The worker is not built: run `npm run build`, or `npm test`.');
    // Outside of the repository, whose packages would be found otherwise.
    const folder = mkdtempSync(join(tmpdir(), 'emitter-'));
    try {
      linkModules(folder, (name) => !name.startsWith('@nestjs'));
      symlinkSync(worker, join(folder, 'worker.mjs'));
      const args = ['--preserve-symlinks', '--preserve-symlinks-main', join(folder, 'worker.mjs'), redis.url, 'w:'];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (output += String(chunk)));
      const [code] = (await once(child, 'exit', { signal: AbortSignal.timeout(GENEROUS_MS) })) as [number];
      expect({ code, output }).toEqual({
        code: 0,
        output: expect.stringMatching(/^\{"id":"job 1","epoch":".+","offset":1\}\n$/),
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** The packages of the workspace, without some. */
function linkModules(folder: string, isWanted: (name: string) => boolean): void {
  const from = join(ROOT, 'node_modules');
  mkdirSync(join(folder, 'node_modules'));
  for (const name of readdirSync(from)) {
    if (!name.startsWith('.') && isWanted(name)) symlinkSync(join(from, name), join(folder, 'node_modules', name));
  }
}
