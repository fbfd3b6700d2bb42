import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Socket } from 'socket.io';
import { bootApp } from '../support/app.js';
import { connectedClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway()
class RequestGateway {
  @SubscribeMessage('request')
  describe({ request, handshake }: Socket) {
    return {
      isWhole: Object.hasOwn(request, '_readableState'),
      holdsResponse: request.socket
        .listeners('close')
        .some((listener) => String(listener) === '() => this.emit("close")'),
      hasHeaders: request.headers.upgrade === 'websocket' && handshake.headers === request.headers,
    };
  }
}

describe('Engine.IO, as it is installed', () => {
  it('lets an open WebSocket transport be freed of its request and of the response of its upgrade', async () => {
    await using app = await bootApp({ providers: [RequestGateway] });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    expect(await client.ask('request')).toEqual({ isWhole: false, holdsResponse: false, hasHeaders: true });
  });
});
