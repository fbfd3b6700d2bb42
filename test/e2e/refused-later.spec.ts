import { randomBytes } from 'node:crypto';
import { SubscribeMessage, WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import { PresenceService, RealtimeService, SOCKET_SERVERS, type RealtimeHandshake } from 'nestjs-realtime';
import type { Namespace, Socket } from 'socket.io';
import { bootPair, type AppPair } from '../support/app-pair.js';
import { bootApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { Gate } from '../support/gate.js';
import { RawClient } from '../support/raw-client.js';
import { mintToken } from '../support/tokens.js';

const checks = new Gate();
const opened: string[] = [];

type Verdict = 'pass' | 'refuse' | 'never';

const userOf = ({ data }: Socket): string => (data as { principal: { id: string } }).principal.id;

@WebSocketGateway()
class RootGateway {
  @SubscribeMessage('fence')
  fence(): string {
    return 'fence';
  }
}

/** The app asks something of its own after the library has let the client in. */
@WebSocketGateway({ namespace: 'premium' })
class PremiumGateway implements OnGatewayInit<Namespace>, OnGatewayConnection<Socket> {
  afterInit(namespace: Namespace): void {
    namespace.use((socket, next) => {
      const { verdict } = socket.handshake.auth as { verdict: Verdict };
      if (verdict === 'never') return void checks.pass(userOf(socket));
      void checks.pass(userOf(socket)).then(() => next(verdict === 'pass' ? undefined : new Error('Not paid')));
    });
  }

  handleConnection(socket: Socket): void {
    opened.push(userOf(socket));
  }

  @SubscribeMessage('fence')
  fence(): string {
    return 'fence';
  }
}

/** What Socket.IO keeps of sockets whose CONNECT has no answer. */
function pendingOf(node: AppPair['first'], namespace: string): number {
  const [server] = node.app.get(SOCKET_SERVERS)();
  return (server.of(namespace) as unknown as { _preConnectSockets: Map<string, unknown> })._preConnectSockets.size;
}

describe.each(['memory', 'redis'] as const)("when the app's own middleware has the last word, over %s", (engine) => {
  let pair: AppPair;
  let user: string;

  beforeAll(async () => {
    const realtime = { limits: { transportsPerUser: { max: 1 }, namespacesPerTransport: 3 } };
    pair = await bootPair(engine, { providers: [RootGateway, PremiumGateway], realtime });
  });

  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    user = `ada-${randomBytes(4).toString('hex')}`;
    checks.open();
    checks.arrivals.length = opened.length = 0;
  });

  afterEach(async () => {
    checks.open();
    await eventually(() => expect(connections()).toBe(0));
  });

  const connections = (): number => pair.first.app.get(RealtimeService).stats().connections;
  const isOnline = async (): Promise<boolean> => (await pair.last.app.get(PresenceService).isOnline(user)).online;
  const auth = (verdict: Verdict): string => JSON.stringify({ token: mintToken(user), verdict });
  const open = (): Promise<RawClient> => RawClient.open(pair.first.url);
  const atRoot = (): Promise<RawClient> => RawClient.connected(pair.first.url, '/', { token: mintToken(user) });
  const packets = ({ inbox }: RawClient): string[] => inbox.all.map(({ args }) => String(args[0]));
  /** From the other node, if there is one; whatever a connection here gets of it, it has when it has the marker. */
  const tell = (event: string): Promise<unknown> =>
    pair.last.app.get(RealtimeService).toUser(user).publish(event, 'private');

  it('forgets the connection that it refuses, and sends it nothing', async () => {
    await using client = await atRoot();
    expect(await client.connect('/premium', auth('refuse'))).toBe('4/premium,{"message":"Not paid"}');
    expect(connections()).toBe(1);
    await tell('secret');
    await client.inbox.next(({ args }) => String(args[0]).startsWith('2["secret"'));
    expect(await client.ask('/', '["fence"]')).toBe('fence');
    expect(packets(client).filter((text) => text.startsWith('2/premium'))).toEqual([]);
    expect(opened).toEqual([]);
  });

  it('lets the client ask again on the same transport, as often as its limits allow', async () => {
    await using client = await atRoot();
    for (let count = 0; count < 4; count += 1) await client.connect('/premium', auth('refuse'));
    expect(await client.connect('/premium', auth('pass'))).toContain('"sid"');
    expect(await client.ask('/premium', '["fence"]')).toBe('fence');
    expect(await client.ask('/', '["fence"]')).toBe('fence');
    expect([connections(), opened]).toEqual([2, [user]]);
  });

  it('gives back the place of a user whose only connection it refuses', async () => {
    await using client = await open();
    await client.connect('/premium', auth('refuse'));
    await eventually(async () => expect(await isOnline()).toBe(false));
    await using other = await atRoot();
    expect(await other.ask('/', '["fence"]')).toBe('fence');
  });

  it('sends nothing before it has decided', async () => {
    await using client = await atRoot();
    checks.shut();
    const answer = client.connect('/premium', auth('refuse'));
    await checks.reached(user);
    await tell('secret');
    await client.inbox.next(({ args }) => String(args[0]).startsWith('2["secret"'));
    checks.open();
    await answer;
    expect(packets(client).filter((text) => /^[24]\/premium/.test(text))).toEqual(['4/premium,{"message":"Not paid"}']);
  });

  it.each(['never', 'pass'] as const)('forgets a connection that ends before it has decided (%s)', async (verdict) => {
    const client = await open();
    checks.shut();
    client.send(`0/premium,${auth(verdict)}`);
    await checks.reached(user);
    expect(connections()).toBe(1);
    client.reset();
    await eventually(() => expect([connections(), pendingOf(pair.first, '/premium')]).toEqual([0, 0]));
    await eventually(async () => expect(await isOnline()).toBe(false));
    checks.open();
    await using other = await atRoot();
    expect([await other.ask('/', '["fence"]'), opened]).toEqual(['fence', []]);
  });

  it.each(['disconnect', 'revoke'] as const)('does not let in who was ended meanwhile (%s)', async (way) => {
    await using client = await open();
    checks.shut();
    const answer = client.connect('/premium', auth('pass'));
    await checks.reached(user);
    const service = pair.last.app.get(RealtimeService);
    if (way === 'revoke') await service.revoke({ userId: user });
    else await service.disconnect({ userId: user });
    checks.open();
    expect(await answer).toContain('"sid"');
    await client.inbox.next(({ args }) => args[0] === '1/premium,');
    const said = packets(client).filter((text) => text.startsWith('2/premium'));
    expect(said).toEqual([expect.stringContaining('["realtime:bye",{"code":"')]);
    expect([connections(), opened]).toEqual([0, []]);
  });
});

describe('when a client leaves while it is authenticated', () => {
  it('keeps nothing of it', async () => {
    const verifying = new Gate();
    verifying.shut();
    const verify = async ({ auth }: RealtimeHandshake) => {
      const { token } = auth as { token: string };
      await verifying.pass(token);
      return { id: token };
    };
    await using app = await bootApp({ providers: [RootGateway], realtime: { auth: { verify } } });
    const client = await RawClient.open(app.url);
    client.send('0{"token":"ada"}');
    await verifying.reached('ada');
    expect(pendingOf(app, '/')).toBe(1);
    client.reset();
    await eventually(() => expect(pendingOf(app, '/')).toBe(0));
    verifying.open();
    await using other = await RawClient.connected(app.url, '/', { token: 'bob' });
    expect(await other.ask('/', '["fence"]')).toBe('fence');
    expect(app.app.get(RealtimeService).stats().connections).toBe(1);
  });
});
