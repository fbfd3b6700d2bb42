import { SubscribeMessage, WebSocketGateway, type OnGatewayInit } from '@nestjs/websockets';
import { Logger, type Type } from '@nestjs/common';
import { AllowAnonymous } from 'nestjs-realtime';
import type { Namespace } from 'socket.io';
import { bootApp } from '../support/app.js';
import { freePort } from '../support/free-port.js';
import { connectedClient, stockClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

/** A gateway that says its name to whoever reaches it; `open` carries `@AllowAnonymous()`. */
function gateway(name: string, decorator: ClassDecorator, { open = false } = {}): Type {
  @decorator
  class Gateway {
    who(): string {
      return name;
    }
  }
  Object.defineProperty(Gateway, 'name', { value: name });
  const method = Object.getOwnPropertyDescriptor(Gateway.prototype, 'who') as PropertyDescriptor;
  SubscribeMessage(`who.${name}`)(Gateway.prototype, 'who', method);
  if (open) AllowAnonymous()(Gateway);
  return Gateway;
}

const on = (namespace: string | RegExp): ClassDecorator => WebSocketGateway({ namespace });

/** What a client without a token meets: `admitted`, or the code of its refusal. */
async function strangerAt(url: string): Promise<unknown> {
  await using client = stockClient(url);
  const { event, args } = await client.inbox.next(({ event }) => event === 'connect' || event === 'connect_error');
  return event === 'connect' ? 'admitted' : (args[0] as { data?: { code?: string } }).data?.code;
}

/** What boot writes as a warning. */
async function warningsOf(providers: Type[]): Promise<string[]> {
  const lines: string[] = [];
  const silent = (): void => undefined;
  Logger.overrideLogger({ log: silent, error: silent, warn: (line: string) => lines.push(line) });
  await using _app = await bootApp({ providers, logger: 'log' });
  return lines;
}

const inBothOrders = (...gateways: [Type, Type]): [string, Type[]][] => [
  [`${gateways[0].name} first`, gateways],
  [`${gateways[1].name} first`, gateways.toReversed()],
];

describe('when a pattern that admits strangers matches a namespace that another gateway declares', () => {
  const Everywhere = gateway('Everywhere', on(/^\/\w+$/), { open: true });
  const Admin = gateway('Admin', on('admin'));

  it.each(inBothOrders(Everywhere, Admin))(
    'refuses them there, and admits them elsewhere (%s)',
    async (_, providers) => {
      await using app = await bootApp({ providers });
      expect(await strangerAt(`${app.url}/admin`)).toBe('UNAUTHORIZED');
      expect(await strangerAt(`${app.url}/lobby`)).toBe('admitted');
      await using ada = await connectedClient(`${app.url}/admin`, { auth: { token: mintToken('ada') } });
      expect(await ada.ask('who.Admin')).toBe('Admin');
    },
  );

  it.each(inBothOrders(Everywhere, Admin))(
    'warns at boot, naming both gateways and the namespace (%s)',
    async (_, providers) => {
      const line = (await warningsOf(providers)).find((one) => one.includes('@AllowAnonymous()')) ?? '';
      for (const name of ['Everywhere', String(/^\/\w+$/), 'Admin', "'/admin'"]) expect(line).toContain(name);
    },
  );

  it('does not open the root, which no gateway declares', async () => {
    await using app = await bootApp({ providers: [gateway('Every', on(/^\/.*$/), { open: true })] });
    expect(await strangerAt(app.url)).toBe('UNAUTHORIZED');
    expect(await strangerAt(`${app.url}/any`)).toBe('admitted');
  });

  it('does not open a namespace that server code made before the pattern was known', async () => {
    @WebSocketGateway({ namespace: 'first' })
    class First implements OnGatewayInit<Namespace> {
      afterInit({ server }: Namespace): void {
        server.of('/own');
      }
    }
    // Nest 12 binds the first gateway after the others.
    await using app = await bootApp({ providers: [Admin, First, Everywhere] });
    expect(await strangerAt(`${app.url}/own`)).toBe('UNAUTHORIZED');
    expect(await strangerAt(`${app.url}/lobby`)).toBe('admitted');
  });
});

describe('when a declared namespace admits strangers, and a pattern that matches it does not', () => {
  const Members = gateway('Members', on(/^\/\w+$/));
  const Lobby = gateway('Lobby', on('lobby'), { open: true });

  it.each(inBothOrders(Members, Lobby))('admits them to its own gateway alone (%s)', async (_, providers) => {
    await using app = await bootApp({ providers });
    await using stranger = await connectedClient(`${app.url}/lobby`);
    expect(await stranger.ask('who.Lobby')).toBe('Lobby');
    expect(await stranger.ask('who.Members')).toMatchObject({ error: { code: 'NOT_FOUND' } });
    expect(await strangerAt(`${app.url}/other`)).toBe('UNAUTHORIZED');
  });

  it('warns at boot, naming both', async () => {
    const line = (await warningsOf([Members, Lobby])).find((one) => one.includes('@AllowAnonymous()')) ?? '';
    for (const name of ['Members', 'Lobby', "'/lobby'"]) expect(line).toContain(name);
  });
});

describe('when two patterns match one namespace', () => {
  const Tenants = (open: boolean): Type => gateway('Tenants', on(/^\/tenant-\w+$/), { open });
  const Wide = (open: boolean): Type => gateway('Wide', on(/^\/t.+$/), { open });

  const marks = [
    [true, false],
    [false, true],
  ];

  it.each(marks)(
    'asks the first, which serves it (the narrow one open: %s, the wide one: %s)',
    async (narrow, wide) => {
      for (const [, providers] of inBothOrders(Tenants(narrow), Wide(wide))) {
        await using app = await bootApp({ providers });
        await using ada = await connectedClient(`${app.url}/tenant-1`, { auth: { token: mintToken('ada') } });
        const first = providers[0]?.name ?? '';
        expect(await ada.ask(`who.${first}`)).toBe(first);
        const isOpen = first === 'Tenants' ? narrow : wide;
        expect(await strangerAt(`${app.url}/tenant-1`)).toBe(isOpen ? 'admitted' : 'UNAUTHORIZED');
        expect(await strangerAt(`${app.url}/t-other`)).toBe(wide ? 'admitted' : 'UNAUTHORIZED');
      }
    },
  );

  it('admits strangers only by the mark of all that share one pattern, since one of them serves', async () => {
    const shared = /^\/shared-\d$/;
    const open = gateway('Open', on(shared), { open: true });
    for (const [, providers] of inBothOrders(gateway('Strict', on(shared)), open)) {
      await using app = await bootApp({ providers });
      expect(await strangerAt(`${app.url}/shared-1`)).toBe('UNAUTHORIZED');
    }
    await using app = await bootApp({ providers: [open, gateway('AlsoOpen', on(shared), { open: true })] });
    expect(await strangerAt(`${app.url}/shared-1`)).toBe('admitted');
  });
});

describe('when several gateways declare one namespace', () => {
  it('is opened on the server whose gateway admits strangers', async () => {
    const port = await freePort();
    const Open = gateway('Open', WebSocketGateway(port, { namespace: /^\/\w+$/ }), { open: true });
    const providers = [Open, gateway('Closed', on('admin'))];
    await using app = await bootApp({ providers });
    expect(await strangerAt(`http://127.0.0.1:${port}/admin`)).toBe('admitted');
    expect(await strangerAt(`${app.url}/admin`)).toBe('UNAUTHORIZED');
  });

  it('is opened by one of two gateways that declare the same namespace', async () => {
    const Open = gateway('Open', on('both'), { open: true });
    await using app = await bootApp({ providers: [gateway('Other', on('/both')), Open] });
    await using stranger = await connectedClient(`${app.url}/both`);
    expect(await stranger.ask('who.Open')).toBe('Open');
  });
});
