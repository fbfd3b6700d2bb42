import { once } from 'node:events';
import type net from 'node:net';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { ManualClock } from 'nestjs-realtime/testing';
import { ReplaySubject, Subject, firstValueFrom } from 'rxjs';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { SERVED, upgrade } from '../../support/raw-upgrade.js';
import { mintToken } from '../../support/tokens.js';
import { HostileApp } from './hostile-app.js';

@WebSocketGateway({ namespace: 'witness' })
class WitnessGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

describe('when an upgrade breaks off', () => {
  const clock = new ManualClock(Date.now());
  let hostile: HostileApp;
  let asked: Subject<string>;
  let allow: ReplaySubject<boolean>;

  beforeAll(async () => {
    asked = new Subject();
    const origins = (origin: string): boolean | Promise<boolean> => {
      if (origin !== 'http://slow.example') return origin === 'http://good.example';
      asked.next(origin);
      return firstValueFrom(allow);
    };
    hostile = await HostileApp.boot(
      { providers: [WitnessGateway], realtime: { origins }, clock },
      { namespace: '/witness', event: 'ping' },
    );
  });
  beforeEach(() => {
    allow = new ReplaySubject(1);
    // Nest has one logger for all apps of a process, and one case boots a second app.
    hostile.node.app.useLogger(hostile.log);
  });
  afterEach(() => hostile.survives());
  afterAll(() => hostile[Symbol.asyncDispose]());

  const slow = ['Origin: http://slow.example'];

  /** The server has seen the reset: its own socket is gone. */
  const connections = async (): Promise<number> => {
    const server = hostile.node.app.getHttpServer() as net.Server;
    return new Promise((resolve, reject) =>
      server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );
  };
  /** The witness: what an earlier case has left behind is gone. */
  const onlyWitness = () => eventually(async () => expect(await connections()).toBe(1));

  it.each([
    ['allowed', true],
    ['refused', false],
  ])('B-50: survives a RST while the origin is being checked, which is then %s', async (_name, verdict) => {
    const pending = firstValueFrom(asked);
    const { socket } = await upgrade(hostile.url, { headers: slow });
    await pending;
    socket.resetAndDestroy();
    await onlyWitness();
    allow.next(verdict);
    await hostile.survives();
    expect(await connections()).toBe(1);
  });

  it('B-50: survives a hundred RSTs at once', async () => {
    const upgrades = await Promise.all(Array.from({ length: 100 }, () => upgrade(hostile.url, { headers: slow })));
    for (const { socket } of upgrades) socket.resetAndDestroy();
    await hostile.survives();
    allow.next(true);
    await onlyWitness();
  });

  it('B-50: survives a RST right after the upgrade', async () => {
    const { socket, status } = await upgrade(hostile.url);
    expect(await status()).toBe(101);
    socket.resetAndDestroy();
    await onlyWitness();
  });

  it.each(['/', '/graphql', '/socket.iox/?EIO=4', '/../socket.io', '//', '*'])(
    'B-50: ends an upgrade to %s, which nobody serves, and survives its RST',
    async (path) => {
      const patient = await upgrade(hostile.url, { path });
      expect([400, 404]).toContain(await patient.status());
      const { socket } = await upgrade(hostile.url, { path });
      socket.resetAndDestroy();
      await onlyWitness();
    },
  );

  it('B-50: leaves an upgrade to another path alone when somebody else listens, and survives its RST', async () => {
    const server = hostile.node.app.getHttpServer() as net.Server;
    const taken = once(server, 'upgrade');
    const { socket } = await upgrade(hostile.url, { path: '/graphql' });
    const [, theirs] = (await taken) as [unknown, net.Socket];
    expect(theirs.writableEnded).toBe(false);
    socket.resetAndDestroy();
    await onlyWitness();
  });

  it('B-50: does the same on the port of a gateway', async () => {
    const port = await freePort();
    @WebSocketGateway(port)
    class PortGateway {}
    const options = { providers: [WitnessGateway, PortGateway] };
    await using other = await HostileApp.boot(options, { namespace: '/witness', event: 'ping' });
    const url = `http://127.0.0.1:${port}`;
    const { status } = await upgrade(url, { path: '/nobody' });
    expect(await status()).toBe(404);
    for (const path of ['/nobody', SERVED]) (await upgrade(url, { path })).socket.resetAndDestroy();
    await other.survives();
    const foreign = await upgrade(url, { headers: ['Origin: http://evil.example'] });
    expect(await foreign.status()).toBe(403);
  });

  it.each([
    ['no EIO', '/socket.io/?transport=websocket'],
    ['another EIO', '/socket.io/?EIO=3&transport=websocket'],
    ['an unknown transport', '/socket.io/?EIO=4&transport=pigeon'],
    ['`__proto__` as the transport', '/socket.io/?EIO=4&transport=__proto__'],
    ['a sid that nobody has', `${SERVED}&sid=stolen`],
    ['the same key ten times', `/socket.io/?EIO=4${'&transport=websocket'.repeat(10)}`],
    ['broken escapes', '/socket.io/?EIO=4&transport=websocket&x=%E0%A4%A'],
    ['a query of 8 KB', `${SERVED}&x=${'y'.repeat(8_000)}`],
  ])('B-50: answers an upgrade with %s, or leaves it', async (_name, path) => {
    const { socket, status } = await upgrade(hostile.url, { path });
    expect([101, 400, 404]).toContain(await status());
    socket.destroy();
  });

  it.each([
    ['two Origin headers', ['Origin: http://good.example', 'Origin: http://evil.example'], 403],
    ['two equal Origin headers', ['Origin: http://good.example', 'Origin: http://good.example'], 403],
    ['the good one', ['Origin: http://good.example'], 101],
    ['a foreign one with a cookie', ['Origin: http://evil.example', `Cookie: token=${mintToken('ada')}`], 403],
    ['an escape sequence', ['Origin: http://\u001b[2Jevil.example'], 400],
    ['bytes that are no ASCII', ['Origin: http://\u009b2Jevil.example'], 403],
  ])('B-30/31: answers %s', async (_name, headers, expected) => {
    clock.advance(1_000);
    hostile.log.drain();
    const { socket, status } = await upgrade(hostile.url, { headers });
    expect(await status()).toBe(expected);
    const lines = hostile.log.drain();
    expect(lines).toHaveLength(expected === 403 ? 1 : 0);
    for (const line of lines) expect(line).not.toMatch(/\p{Cc}/u);
    socket.destroy();
  });

  it('B-30/31: logs a flood of foreign origins in one line a second, with the name of the option', async () => {
    const headers = ['Origin: http://evil.example'];
    const refuse = async (times: number): Promise<string[]> => {
      clock.advance(1_000);
      hostile.log.drain();
      const upgrades = await Promise.all(Array.from({ length: times }, () => upgrade(hostile.url, { headers })));
      for (const { socket, status } of upgrades) {
        expect(await status()).toBe(403);
        socket.destroy();
      }
      return hostile.log.drain();
    };
    expect(await refuse(20)).toEqual([expect.stringMatching(/evil\.example.*origins/)]);
    expect(await refuse(1)).toEqual([expect.stringMatching(/evil\.example.*origins.*\(and 19 more since\)/)]);
  });
});
