import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RoomManager, RoomPolicy } from 'nestjs-realtime';
import { bootApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@RoomPolicy('feed')
class FeedPolicy {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway()
class FeedGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

/** One masked text frame, as a client sends it. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head =
    payload.length < 126
      ? Buffer.from([0x81, 0x80 | payload.length])
      : Buffer.from([0x81, 0xfe, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

/** Connects, joins, and never reads again. */
async function stalledReader(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  const key = Buffer.alloc(16).toString('base64');
  socket.write(
    `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  await once(socket, 'data');
  socket.write(frame(`40${JSON.stringify({ token: mintToken('slow') })}`));
  socket.write(frame('42["realtime:join",{"room":"feed"}]'));
  socket.pause();
  return socket;
}

describe('when a client reads slowly', () => {
  it('costs a bounded amount of memory, then its transport is terminated and nobody else notices', async () => {
    await using app = await bootApp({
      providers: [FeedGateway, FeedPolicy],
      realtime: { limits: { maxSendBufferBytes: 1_048_576 } },
    });
    await using healthy = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    await healthy.ask('realtime:join', { room: 'feed' });
    const rooms = app.app.get(RoomManager);
    const slow = await stalledReader(app.url);
    await eventually(async () => expect(await rooms.count('feed')).toBe(2));
    const block = 'x'.repeat(65_536);
    let sent = 0;
    // Kernel buffers swallow the first megabytes; the loop ends when the node has given up on the slow one.
    await eventually(async () => {
      for (let burst = 0; burst < 16; burst += 1) rooms.emit('feed', 'block', { number: (sent += 1), block });
      await healthy.inbox.next(
        ({ event, args }) => event === 'block' && (args[0] as { number: number }).number === sent,
      );
      expect(await rooms.count('feed')).toBe(1);
    }, 20_000);
    expect(await healthy.ask('ping')).toBe('pong');
    slow.destroy();
  });
});
