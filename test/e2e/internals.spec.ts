import { jest } from '@jest/globals';
import { SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import type { Server } from 'socket.io';
import { connectedClient } from '../support/inbox.js';
import { mintToken, TEST_SECRET } from '../support/tokens.js';

@WebSocketGateway()
class EchoGateway {
  @WebSocketServer()
  server!: Server;

  @SubscribeMessage('echo')
  echo(_client: unknown, data: unknown): unknown {
    return data;
  }
}

/** @param fault is there before the library is loaded. */
async function bootWith(fault: () => void) {
  jest.resetModules();
  fault();
  const { bootApp } = await import('../support/app.js');
  const { Logger } = await import('@nestjs/common');
  const warnings: string[] = [];
  const silent = (): void => undefined;
  Logger.overrideLogger({ log: silent, error: silent, warn: (line: string) => warnings.push(line) });
  const app = await bootApp({
    providers: [EchoGateway],
    logger: 'log',
    realtime: { auth: { jwt: { secret: TEST_SECRET } } },
  });
  return { app, switchedOff: warnings.filter((line) => line.startsWith('Switched off')) };
}

describe('on the Node that runs', () => {
  it('switches nothing off', async () => {
    const { app, switchedOff } = await bootWith(() => undefined);
    await using _ = app;
    expect(switchedOff).toEqual([]);
  });
});

describe('when a Node differs from what the library knows of it', () => {
  it('says once what it does without, with all versions, and works', async () => {
    const { app, switchedOff } = await bootWith(() => {
      // As Node's permission model does; this `process` is the test file's own.
      (process as unknown as { binding: unknown }).binding = () => {
        throw new Error('not allowed');
      };
    });
    await using _ = app;
    expect(switchedOff).toEqual([
      expect.stringMatching(
        /with Node \d+\.\d+\.\d+, @nestjs\/core \d+\.\d+\.\d+, socket\.io \d+\.\d+\.\d+, engine\.io \d+\.\d+\.\d+, ws \d+\.\d+\.\d+: directWrites \(Node does not say what is below a socket\)/,
      ),
    ]);
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    expect(await client.ask('echo', 1)).toBe(1);
    app.app.get(EchoGateway).server.emit('all', 2);
    expect((await client.inbox.next('all')).args).toEqual([2]);
  });
});
