import {
  ConnectedSocket,
  SubscribeMessage,
  WebSocketGateway,
  WebSocketServer,
  type OnGatewayConnection,
  type OnGatewayInit,
} from '@nestjs/websockets';
import { RealtimeError, SOCKET_SERVERS, type Principal, type RealtimeHandshake } from 'nestjs-realtime';
import type { Namespace, Server, Socket } from 'socket.io';
import { bootApp, type TestApp, type TestAppOptions } from '../../support/app.js';
import { Gate } from '../../support/gate.js';
import { RawClient } from '../../support/raw-client.js';

/** What an app with tenants has met since it was booted. */
class Story {
  /** What `verify` was asked: who, for which namespace. */
  readonly checks: string[] = [];
  /** Whom the app's own middleware has seen; `nobody` without a principal. */
  readonly met: string[] = [];
  readonly connected: string[] = [];
  /** What `verify` passes by the name `check`, whoever asks. */
  readonly checking = new Gate();
  /** What the user `wait` passes by the name `middleware` in the app's own middleware. */
  readonly meeting = new Gate();
  /** Users whom the app's middleware refuses. */
  readonly refused = new Set<string>();
}

let story = new Story();

/** The name that the principal has in a socket, as an app's middleware reads it. */
const userOf = (socket: Socket): string => (socket.data as { principal?: Principal }).principal?.id ?? 'nobody';

@WebSocketGateway({ namespace: /^\/tenant-.+$/ })
export class TenantGateway implements OnGatewayInit<Namespace>, OnGatewayConnection<Socket> {
  @WebSocketServer()
  parent!: Namespace;

  afterInit(parent: Namespace): void {
    parent.use((socket, next) => void this.meet(socket, next));
  }

  handleConnection(socket: Socket): void {
    story.connected.push(`${userOf(socket)} in ${socket.nsp.name}`);
  }

  @SubscribeMessage('where')
  where(@ConnectedSocket() socket: Socket): string {
    return socket.nsp.name;
  }

  private async meet(socket: Socket, next: (error?: Error) => void): Promise<void> {
    const user = userOf(socket);
    story.met.push(user);
    if (user === 'wait') await story.meeting.pass('middleware');
    if (user !== 'lost') next(story.refused.has(user) ? new Error('not of this tenant') : undefined);
  }
}

/** One that is there from the beginning, and takes a transport without a tenant. */
@WebSocketGateway({ namespace: 'lobby' })
class LobbyGateway {
  @SubscribeMessage('where')
  where(@ConnectedSocket() socket: Socket): string {
    return socket.nsp.name;
  }
}

async function verify({ namespace, auth }: RealtimeHandshake): Promise<{ id: string }> {
  const { user } = auth as { user?: string };
  story.checks.push(`${user ?? 'nobody'} for ${namespace}`);
  await story.checking.pass('check');
  if (user === undefined) throw new RealtimeError('UNAUTHORIZED');
  return { id: user };
}

interface ServerInternals {
  readonly _nsps: ReadonlyMap<string, Record<'sockets' | '_preConnectSockets', ReadonlyMap<string, unknown>>>;
}

export interface Tenants extends AsyncDisposable {
  readonly node: TestApp;
  readonly url: string;
  readonly story: Story;
  readonly server: Server;
  readonly gateway: TenantGateway;
  /** The names of the tenants' namespaces that are there, the oldest first. */
  tenants(): string[];
  /** Sockets that a namespace keeps, connected or not. */
  held(namespace: string): number;
}

/** Clients say who they are by `{ user }`: who says nothing is a stranger, and refused. */
export async function bootTenants(options: TestAppOptions = {}): Promise<Tenants> {
  story = new Story();
  const { providers = [], realtime, ...rest } = options;
  const node = await bootApp({
    ...rest,
    providers: [TenantGateway, LobbyGateway, ...providers],
    // Tests connect faster than clients may.
    realtime: { auth: { verify }, ...realtime, limits: { messagesPerSecond: 0, ...realtime?.limits } },
  });
  const [server] = node.app.get(SOCKET_SERVERS)() as [Server];
  const { _nsps: namespaces } = server as unknown as ServerInternals;
  return {
    node,
    url: node.url,
    story,
    server,
    gateway: node.app.get(TenantGateway),
    tenants: () => [...namespaces.keys()].filter((name) => name.startsWith('/tenant-')),
    held: (name) => (namespaces.get(name)?.sockets.size ?? 0) + (namespaces.get(name)?._preConnectSockets.size ?? 0),
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}

export const as = (user: string): string => JSON.stringify({ user });

/** A transport in the lobby, whose user may connect to tenants on it. */
export const inLobby = (tenants: Tenants, user = 'ada'): Promise<RawClient> =>
  RawClient.connected(tenants.url, '/lobby', { user });

/** Connects to each and leaves it again, one after the other; resolves when the server has heard of it. */
export async function visit(client: RawClient, names: readonly string[]): Promise<void> {
  for (const name of names) {
    expect(await client.connect(name, as('ada'))).toContain('"sid"');
    client.send(`1${name},`);
  }
  // Packets of a transport are handled in order.
  await client.ask('/lobby', '["where"]');
}
