import type { OnModuleInit } from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WebSocketGateway } from '@nestjs/websockets';
import { connect, startApp } from './support.js';

describe('when main.ts calls useWebSocketAdapter after a module has set an adapter', () => {
  it('silently replaces the adapter of the module, which onModuleInit can notice', async () => {
    const created: string[] = [];
    let seenInOnModuleInit: unknown;

    class NamedAdapter extends IoAdapter {
      constructor(
        readonly name: string,
        server?: object,
      ) {
        super(server);
      }

      override createIOServer(
        ...args: Parameters<IoAdapter['createIOServer']>
      ): ReturnType<IoAdapter['createIOServer']> {
        created.push(this.name);
        return super.createIOServer(...args);
      }
    }

    @WebSocketGateway()
    class EmptyGateway implements OnModuleInit {
      constructor(private readonly config: ApplicationConfig) {}

      onModuleInit(): void {
        seenInOnModuleInit = this.config.getIoAdapter();
      }
    }

    const fromModule = {
      provide: 'ADAPTER',
      inject: [ApplicationConfig],
      useFactory: (config: ApplicationConfig) => config.setIoAdapter(new NamedAdapter('module')),
    };
    let fromMain: NamedAdapter | undefined;
    const { url } = await startApp({ providers: [fromModule, EmptyGateway] }, (app) => {
      fromMain = new NamedAdapter('main.ts', app.getHttpServer() as object);
      app.useWebSocketAdapter(fromMain);
    });

    await connect(url);
    expect(created).toEqual(['main.ts']);
    expect(seenInOnModuleInit).toBe(fromMain);
  });
});
