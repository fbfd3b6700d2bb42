import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { ask, connect, moduleOf, startApp } from './support.js';

let runs = 0;

@WebSocketGateway()
class ListedTwice {
  @SubscribeMessage('count')
  count(): void {
    runs += 1;
  }

  @SubscribeMessage('fence')
  fence(): string {
    return 'fence';
  }
}

describe('when two modules list one gateway class as provider', () => {
  it('runs every handler twice for one message', async () => {
    const imports = [moduleOf({ providers: [ListedTwice] }), moduleOf({ providers: [ListedTwice] })];
    const { url } = await startApp({ imports });
    const client = await connect(url);

    client.emit('count');
    await ask(client, 'fence');

    expect(runs).toBe(2);
  });
});
