import { randomBytes } from 'node:crypto';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  CurrentPrincipal,
  PresenceService,
  RealtimeService,
  RoomManager,
  RoomPolicy,
  type CanJoin,
  type Principal,
  type RealtimeOptions,
} from 'nestjs-realtime';
import { bootApp, type TestApp } from '../support/app.js';
import { connectedClient, stockClient, type StockClient } from '../support/inbox.js';
import { startRedis } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';

@RoomPolicy('chat/:id', { presence: true })
class ChatRoomPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('message.send')
  send(@MessageBody() body: { room: string; text: string }, @CurrentPrincipal() me: Principal) {
    return this.rooms.publish(`chat/${body.room}`, 'message', { from: me.id, text: body.text });
  }
}

const providers = [ChatGateway, ChatRoomPolicy];

function connect(node: TestApp, user: string): Promise<StockClient> {
  return connectedClient(`${node.url}/chat`, { auth: { token: mintToken(user) } });
}

async function exchange(one: TestApp, two: TestApp): Promise<void> {
  await using ada = await connect(one, 'ada');
  await using bob = await connect(two, 'bob');
  expect(await ada.ask('realtime:join', { room: 'chat/42' })).toMatchObject({ room: 'chat/42', presence: {} });
  expect(await bob.ask('realtime:join', { room: 'chat/42' })).toMatchObject({ room: 'chat/42' });
  const reply = await ada.ask('message.send', { room: '42', text: 'hello' });
  expect(reply).toEqual({ id: expect.any(String) });
  for (const client of [ada, bob]) {
    const { args } = await client.inbox.next('message');
    expect(args).toEqual([
      { from: 'ada', text: 'hello' },
      { room: 'chat/42', id: (reply as { id: string }).id },
    ]);
  }
  const { users } = await two.app.get(PresenceService).list('chat/42');
  expect(users.map(({ id }) => id).sort()).toEqual(['ada', 'bob']);
  one.app.get(RealtimeService).toUser('bob').emit('note', 'hi');
  expect((await bob.inbox.next('note')).args).toEqual(['hi', { room: 'user/bob' }]);
}

describe('import, token, join, message, ack, presence', () => {
  it('works in one process, in memory', async () => {
    await using app = await bootApp({ providers });
    await exchange(app, app);
  });

  it('works over two nodes on one Redis', async () => {
    await using redis = await startRedis();
    const realtime: Partial<RealtimeOptions> = { redis: { url: redis.url, keyPrefix: randomBytes(6).toString('hex') } };
    await using one = await bootApp({ providers, realtime });
    await using two = await bootApp({ providers, realtime });
    await exchange(one, two);
  });

  it('lets nobody in without a token', async () => {
    await using app = await bootApp({ providers });
    await using stranger = stockClient(`${app.url}/chat`);
    const { args } = await stranger.inbox.next('connect_error');
    expect((args[0] as { data?: unknown }).data).toEqual({
      code: 'UNAUTHORIZED',
      message: 'Authentication is required',
      retryable: false,
    });
  });
});
