import { hostname } from 'node:os';
import { WebSocketGateway } from '@nestjs/websockets';
import { bootApp } from '../../support/app.js';
import { connectedClient } from '../../support/inbox.js';
import { mintToken } from '../../support/tokens.js';

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway {}

describe('when a client is told which node it is on', () => {
  const nodeOf = async (nodeId?: string): Promise<string> => {
    await using node = await bootApp({ providers: [ChatGateway], realtime: { cluster: { nodeId } } });
    await using ada = await connectedClient(`${node.url}/chat`, { auth: { token: mintToken('ada') } });
    return ((await ada.inbox.next('realtime:hello')).args[0] as { node: string }).node;
  };

  it('hears the name that the app has given', async () => {
    expect(await nodeOf('node-7')).toBe('node-7');
  });

  it('hears no name of the machine', async () => {
    const node = await nodeOf();
    expect(node).toMatch(/^[\w-]{8}$/);
    expect(node).not.toContain(hostname());
  });
});
