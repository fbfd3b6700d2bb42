import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { RealtimeOptions } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../support/app.js';
import { RawClient } from '../support/raw-client.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway({ namespace: 'app' })
class AppGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

const NS = '/app';

type Limit = NonNullable<RealtimeOptions['limits']>['transportsPerUser'];

const boot = (transportsPerUser: Limit = {}): Promise<TestApp> =>
  bootApp({ providers: [AppGateway], realtime: { limits: { transportsPerUser } } });

const connect = ({ url }: TestApp, user: string, device: string): Promise<RawClient> =>
  RawClient.connected(url, NS, { token: mintToken(user), rt: { v: 1, device } });

const ping = (client: RawClient): Promise<unknown> => client.ask(NS, '["ping"]');

describe('when tabs of one user have the same device label', () => {
  it('lets all of them stay, up to the limit', async () => {
    await using app = await boot({ max: 2 });
    await using first = await connect(app, 'ada', 'web');
    await using second = await connect(app, 'ada', 'web');
    await expect(connect(app, 'ada', 'web')).rejects.toThrow('LIMIT_EXCEEDED');
    expect([await ping(first), await ping(second)]).toEqual(['pong', 'pong']);
  });

  it.each([0, 1])('ends the one before if the app wants devices to be replaced, with the limit %d', async (max) => {
    await using app = await boot({ max, replaceDevice: true });
    await using other = await connect(app, 'bob', 'web');
    await using first = await connect(app, 'ada', 'web');
    await using second = await connect(app, 'ada', 'web');
    await first.inbox.next(({ args: [packet] }) => packet === `1${NS},`);
    expect([await ping(second), await ping(other)]).toEqual(['pong', 'pong']);
  });
});

describe('when one user has very many connections', () => {
  it('lets all of them in, and names the option that would limit them once', async () => {
    await using app = await boot();
    const warnings: string[] = [];
    const silent = (): void => undefined;
    app.app.useLogger({ log: silent, error: silent, warn: (line: unknown) => warnings.push(String(line)) });
    const clients: RawClient[] = [];
    const add = async (): Promise<void> => void clients.push(await connect(app, 'ada', `tab ${clients.length}`));
    while (clients.length < 256) await add();
    expect(warnings).toEqual([]);
    while (clients.length < 260) await add();
    expect(warnings).toEqual([expect.stringMatching(/"ada".*256.*limits\.transportsPerUser\.max/)]);
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  });
});
