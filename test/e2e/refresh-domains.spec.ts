import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Type } from '@nestjs/common';
import {
  CurrentPrincipal,
  RealtimeService,
  Roles,
  type AuthOptions,
  type Principal,
  type RealtimeHandshake,
  type VerifiedPrincipal,
} from 'nestjs-realtime';
import type { Socket } from 'socket.io-client';
import { bootApp } from '../support/app.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { TEST_SECRET, mintToken } from '../support/tokens.js';

function gateway(namespace: string): Type {
  @WebSocketGateway({ namespace })
  class DomainGateway {
    @SubscribeMessage('me')
    me(@CurrentPrincipal() { roles, expiresAt }: Principal): object {
      return { roles, expires: expiresAt !== undefined };
    }

    @Roles('admin')
    @SubscribeMessage('wipe')
    wipe(): string {
      return 'wiped';
    }
  }
  return DomainGateway;
}

/** Whoever says its name is believed, as in a namespace of old clients. */
const believe = ({ auth }: RealtimeHandshake): VerifiedPrincipal | null => {
  const { token } = auth as { token?: string };
  return token === undefined ? null : { id: 'ada', roles: ['admin', token] };
};

/** A second connection of the same transport. */
async function beside(client: StockClient, namespace: string, token: string): Promise<Socket> {
  const socket = client.socket.io.socket(namespace, { auth: { token } });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  return socket;
}

const FORBIDDEN = { error: { code: 'FORBIDDEN' } };
const boot = (auth: AuthOptions, ...namespaces: string[]) =>
  bootApp({ providers: namespaces.map(gateway), realtime: { auth } });

describe('when two namespaces of a transport have checks of their own', () => {
  const auth = { jwt: { secret: TEST_SECRET }, namespaces: { '/legacy': { verify: believe } } };

  it('renews only what the same check has admitted', async () => {
    await using app = await boot(auth, 'legacy', 'main', 'other');
    await using legacy = await connectedClient(`${app.url}/legacy`, { auth: { token: 'anything' } });
    const main = await beside(legacy, '/main', mintToken('ada'));
    const other = await beside(legacy, '/other', mintToken('ada'));
    expect(await legacy.ask('realtime:refresh', { token: 'else' })).toEqual({});
    expect(await legacy.ask('me')).toEqual({ roles: ['admin', 'else'], expires: false });
    expect(await main.emitWithAck('wipe')).toMatchObject(FORBIDDEN);
    expect(await main.emitWithAck('me')).toEqual({ roles: [], expires: true });

    const editor = mintToken('ada', { roles: ['editor'] });
    expect(await main.emitWithAck('realtime:refresh', { token: editor })).toMatchObject({
      expiresAt: expect.any(Number) as unknown,
    });
    expect(await other.emitWithAck('me')).toEqual({ roles: ['editor'], expires: true });
    expect(await legacy.ask('me')).toEqual({ roles: ['admin', 'else'], expires: false });
  });

  it('still ends what the revoked token of the other namespace has opened', async () => {
    await using app = await boot(auth, 'legacy', 'main');
    await using main = await connectedClient(`${app.url}/main`, {
      auth: { token: mintToken('ada', { jti: 'stolen' }) },
    });
    const legacy = await beside(main, '/legacy', 'anything');
    expect(await legacy.emitWithAck('realtime:refresh', { token: 'else' })).toEqual({});
    await app.app.get(RealtimeService).revoke({ tokenId: 'stolen' });
    expect((await main.inbox.next('realtime:bye')).args[0]).toMatchObject({ code: 'REVOKED' });
  });
});

describe('when one check decides about several namespaces', () => {
  it('maps claims for each with its own handshake', async () => {
    const principal = ({ sub }: Readonly<Record<string, unknown>>, { namespace }: RealtimeHandshake) => ({
      id: String(sub),
      roles: namespace === '/back-office' ? ['admin'] : [],
    });
    await using app = await boot({ jwt: { secret: TEST_SECRET }, principal }, 'back-office', 'shop');
    await using office = await connectedClient(`${app.url}/back-office`, { auth: { token: mintToken('ada') } });
    const shop = await beside(office, '/shop', mintToken('ada'));
    await office.ask('realtime:refresh', { token: mintToken('ada') });
    expect(await shop.emitWithAck('wipe')).toMatchObject(FORBIDDEN);
    await shop.emitWithAck('realtime:refresh', { token: mintToken('ada') });
    expect(await office.ask('wipe')).toBe('wiped');
  });

  it('keeps what a namespace has whose answer is a refusal, and renews the others', async () => {
    const asked: string[] = [];
    const verify = (handshake: RealtimeHandshake): VerifiedPrincipal | null => {
      const { namespace, auth: sent } = handshake;
      asked.push(namespace);
      return namespace === '/strict' && (sent as { token?: unknown }).token === 'new' ? null : believe(handshake);
    };
    const namespaces = { '/strict': { verify }, '/easy': { verify }, '/first': { verify } };
    await using app = await boot({ jwt: { secret: TEST_SECRET }, namespaces }, 'strict', 'easy', 'first');
    await using first = await connectedClient(`${app.url}/first`, { auth: { token: 'old' } });
    const strict = await beside(first, '/strict', 'old');
    const easy = await beside(first, '/easy', 'old');
    asked.length = 0;
    await first.ask('realtime:refresh', { token: 'new' });
    expect(asked.toSorted()).toEqual(['/easy', '/first', '/strict']);
    expect(await strict.emitWithAck('me')).toMatchObject({ roles: ['admin', 'old'] });
    expect(await easy.emitWithAck('me')).toMatchObject({ roles: ['admin', 'new'] });

    expect(await strict.emitWithAck('realtime:refresh', { token: 'new' })).toMatchObject({
      error: { code: 'UNAUTHORIZED' },
    });
  });
});
