import { Injectable } from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RoomManager, RoomPolicy, type CanJoin } from 'nestjs-realtime';
import { createRealtimeClient, type RealtimeClient } from 'nestjs-realtime-client';
import { bootApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { mintToken } from '../support/tokens.js';

const REQUESTS = 30;

@RoomPolicy('chat/:id')
@Injectable()
class ChatPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

const ran: number[] = [];

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('say')
  async say(@MessageBody() n: number): Promise<number> {
    ran.push(n);
    await this.rooms.publish('chat/1', 'message', n);
    return n;
  }
}

describe('when the answers of our own server get lost on the way', () => {
  it('runs each idempotent request once, in order, and gives each its answer', async () => {
    await using demo = await bootApp({ providers: [ChatPolicy, ChatGateway] });
    await using proxy = await startTcpProxy({ port: Number(new URL(demo.url).port) });
    const watcher: RealtimeClient = createRealtimeClient(`${demo.url}/chat`, { getToken: () => mintToken('bob') });
    const seen: unknown[] = [];
    watcher.room('chat/1').on('message', (n) => seen.push(n));
    await watcher.room('chat/1').join();
    const client = createRealtimeClient(`http://127.0.0.1:${proxy.port}/chat`, { getToken: () => mintToken('ada') });
    await client.request('say', -1, { offline: 'queue' });
    expect(client.hello?.requestWindowMs).toBeGreaterThan(0);

    const numbers = Array.from({ length: REQUESTS }, (_, n) => n);
    const answers = Promise.all(numbers.map((n) => client.request('say', n, { idempotent: true, offline: 'queue' })));
    for (const at of [5, 12, 20]) {
      await eventually(() => expect(ran.length).toBeGreaterThan(at));
      proxy.cut();
      proxy.heal();
    }
    expect(await answers).toEqual(numbers);
    await watcher.request('say', REQUESTS);
    await eventually(() => expect(seen.at(-1)).toBe(REQUESTS));
    expect(ran).toEqual([-1, ...numbers, REQUESTS]);
    expect(seen).toEqual([-1, ...numbers, REQUESTS]);
    client.close();
    watcher.close();
  });
});
