import { ChatGateway } from './app/chat.gateway.js';
import { ChatModule } from './app/chat.module.js';
import { RedisIoAdapter } from './app/redis-io.adapter.js';
import { ask, closeClients, collect, connect, next } from './clients.js';
import { start, type Host, type RunningApp } from './hosts.js';
import { eventually } from '../support/eventually.js';
import { startRedis, type TestRedis } from '../support/redis.js';

const stock: Host = { name: 'stock', http: 'express', options: undefined };

let redis: TestRedis;
const pods: RunningApp[] = [];

beforeAll(async () => (redis = await startRedis()));
afterEach(async () => {
  closeClients();
  for (const { app } of pods.splice(0)) await app.close();
});
afterAll(() => redis[Symbol.asyncDispose]());

/** A pod as it was before: the recipe of Nest's documentation. */
async function startOldPod(): Promise<RunningApp> {
  const pod = await start(stock, { imports: [ChatModule] }, async (app) => {
    const adapter = new RedisIoAdapter(app);
    await adapter.connectToRedis(redis.url);
    app.useWebSocketAdapter(adapter);
  });
  pods.push(pod);
  return pod;
}

async function startNewPod(): Promise<RunningApp> {
  const options = {
    transports: ['polling', 'websocket'] as ('polling' | 'websocket')[],
    auth: { verify: () => ({ id: 'ada' }) },
    redis: { url: redis.url },
  };
  const pod = await start({ name: 'ours', http: 'express', options }, { imports: [ChatModule] });
  pods.push(pod);
  return pod;
}

const peers: [string, () => Promise<RunningApp>][] = [
  ['another stock pod', startOldPod],
  ['a pod with our module', startNewPod],
];

describe.each(peers)("when a pod with the documentation's RedisIoAdapter runs beside %s", (_name, startPeer) => {
  it('exchanges the broadcasts to a room in both directions, each delivered once', async () => {
    const both = [await startOldPod(), await startPeer()];
    for (const { app } of both) {
      const { server } = app.get(ChatGateway);
      await eventually(async () => expect(await server.of('/').adapter.serverCount()).toBe(2));
    }
    const clients = await Promise.all(both.map(({ url }) => connect(url)));
    const received = clients.map((client) => collect(client, 'new message'));
    for (const client of clients) await ask(client, 'join', 'lobby');

    // The second round is the fence: a copy of what a client sent first would come before what it sends next.
    for (const text of ['across', 'fence'])
      for (const sender of clients) {
        const arrived = Promise.all(clients.map((client) => next(client, 'new message')));
        await ask(sender, 'new message', { room: 'lobby', text });
        await arrived;
      }

    const messages = ['across', 'fence'].flatMap((text) => clients.map(({ id }) => ({ from: id, text })));
    expect(received).toEqual([messages, messages]);
  });
});
