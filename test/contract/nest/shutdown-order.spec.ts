import { ModulesContainer } from '@nestjs/core';
import type { Provider } from '@nestjs/common';
import { WebSocketGateway } from '@nestjs/websockets';
import type { Namespace, Server } from 'socket.io';
import { SeamAdapter, connect, deferred, moduleOf, startApp } from './support.js';

const log: string[] = [];

class Hooks {
  constructor(private readonly owner: string) {}

  async onModuleDestroy(): Promise<void> {
    await new Promise(setImmediate);
    log.push(`${this.owner} onModuleDestroy`);
  }

  beforeApplicationShutdown(): void {
    log.push(`${this.owner} beforeApplicationShutdown`);
  }

  onApplicationShutdown(): void {
    log.push(`${this.owner} onApplicationShutdown`);
  }
}

const logClose = (server: Server): void => {
  const close = server.close.bind(server);
  server.close = (done) => {
    log.push('io.close()');
    return close(done);
  };
};

class SpyAdapter extends SeamAdapter {
  override async close(server: Parameters<SeamAdapter['close']>[0]): Promise<void> {
    const { name } = server as unknown as Namespace;
    log.push(`adapter.close ${name ?? 'server'}`);
    await super.close(server);
    if (!name)
      log.push(`http server ${(this.httpServer as { listening: boolean }).listening ? 'listens' : 'is closed'}`);
  }

  override dispose(): Promise<void> {
    log.push('adapter.dispose');
    return super.dispose();
  }
}

const mayFinish = deferred();

@WebSocketGateway()
class RootGateway {
  async handleDisconnect(): Promise<void> {
    log.push('handleDisconnect starts');
    await mayFinish.promise;
    log.push('handleDisconnect ends');
  }
}

@WebSocketGateway({ namespace: 'other' })
class OtherGateway {}

const valueHooks = (owner: string): Provider => ({ provide: owner, useValue: new Hooks(owner) });

async function startGateways(options: object): Promise<() => Promise<void>> {
  const Early = moduleOf({
    providers: [
      valueHooks('module with distance 0'),
      {
        provide: 'DISTANCE',
        inject: [ModulesContainer],
        useFactory: (modules: ModulesContainer) => {
          for (const module of modules.values()) if (module.metatype === Early) module.distance = 0;
        },
      },
    ],
  });
  const Child = moduleOf({ imports: [Early], providers: [valueHooks('child')] });
  const providers = [RootGateway, OtherGateway, valueHooks('root')];
  const { app, url } = await startApp(
    { imports: [Child], providers },
    (prepared) => prepared.useWebSocketAdapter(new SpyAdapter(prepared, logClose)),
    options,
  );
  const modules = [...app.get(ModulesContainer).values()].filter(({ metatype }) => metatype !== Early);
  const nearest = modules.reduce((best, module) => (module.distance < best.distance ? module : best));
  nearest.addProvider({ provide: 'LATE', useValue: new Hooks('added to the nearest module') });
  await connect(url);
  return () => app.close();
}

describe('when the app shuts down', () => {
  it('destroys by distance, closes sockets after beforeApplicationShutdown and before onApplicationShutdown, and awaits no handleDisconnect', async () => {
    const close = await startGateways({});
    await close();
    mayFinish.resolve();
    await mayFinish.promise;

    const owners = ['module with distance 0', 'root', 'added to the nearest module', 'child'];
    const socketLog = [
      'adapter.close server',
      'io.close()',
      'adapter.close /other',
      'handleDisconnect starts',
      'http server is closed',
      'adapter.dispose',
    ];
    const phases = log.splice(0);
    expect(phases.slice(0, 4)).toEqual(owners.map((owner) => `${owner} onModuleDestroy`));
    expect(phases.slice(4, 8)).toEqual(owners.map((owner) => `${owner} beforeApplicationShutdown`));
    expect(phases.slice(8, 14).sort()).toEqual([...socketLog].sort());
    expect(phases.slice(13, 14)).toEqual(['adapter.dispose']);
    expect(phases.slice(14, 18)).toEqual(owners.map((owner) => `${owner} onApplicationShutdown`));
    expect(phases.slice(18)).toEqual(['handleDisconnect ends']);

    const forceClose = await startGateways({ forceCloseConnections: true });
    await forceClose();
    const forced = log.splice(0);
    expect(forced).toContain('adapter.close server');
    expect(forced).toContain('adapter.dispose');
    expect(forced).not.toContain('io.close()');
  });
});
