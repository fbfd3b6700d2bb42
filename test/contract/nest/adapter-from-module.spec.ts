import { Inject, type OnModuleInit } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, NestFactory } from '@nestjs/core';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { Test } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ask, connect, listen, moduleOf, onCleanup } from './support.js';

describe('when a provider factory sets the WebSocket adapter', () => {
  it('serves every gateway with it, with NestFactory and TestingModule, before onModuleInit and with the http server resolved late', async () => {
    for (const kind of ['NestFactory', 'TestingModule'] as const) {
      const log: string[] = [];

      class ModuleAdapter extends IoAdapter {
        constructor(private readonly host: HttpAdapterHost) {
          super();
        }

        gateway?: { handleConnection: () => void };

        override createIOServer(
          ...args: Parameters<IoAdapter['createIOServer']>
        ): ReturnType<IoAdapter['createIOServer']> {
          log.push('createIOServer');
          if (this.gateway)
            this.gateway.handleConnection = () => void log.push('handleConnection as replaced in createIOServer');
          Object.assign(this, { httpServer: this.host.httpAdapter.getHttpServer() as object });
          return super.createIOServer(...args);
        }
      }

      @WebSocketGateway()
      class EchoGateway implements OnModuleInit {
        constructor(@Inject('ADAPTER') readonly adapter: ModuleAdapter) {
          adapter.gateway = this;
        }

        afterInit(): void {
          log.push('gateway bound');
        }

        handleConnection(): void {
          log.push('the original handleConnection');
        }

        onModuleInit(): void {
          log.push('onModuleInit');
        }

        @SubscribeMessage('echo')
        echo(_client: unknown, data: unknown): unknown {
          return { data };
        }
      }

      const Root = moduleOf({
        providers: [
          {
            provide: 'ADAPTER',
            inject: [ApplicationConfig, HttpAdapterHost],
            useFactory: async (config: ApplicationConfig, host: HttpAdapterHost) => {
              await new Promise(setImmediate);
              const server: unknown = host.httpAdapter?.getHttpServer();
              log.push(host.httpAdapter ? `http server ${server ? 'there' : 'missing'}` : 'http adapter missing');
              const adapter = new ModuleAdapter(host);
              config.setIoAdapter(adapter);
              return adapter;
            },
          },
          EchoGateway,
        ],
      });
      const app =
        kind === 'NestFactory'
          ? await NestFactory.create(Root, { logger: false })
          : (await Test.createTestingModule({ imports: [Root] }).compile()).createNestApplication({ logger: false });
      onCleanup(() => app.close());
      const client = await connect(await listen(app));

      expect(await ask(client, 'echo', kind)).toEqual({ data: kind });
      expect(app.get(EchoGateway).adapter).toBe(app.get(ApplicationConfig).getIoAdapter());
      expect(log).toEqual([
        kind === 'NestFactory' ? 'http server missing' : 'http adapter missing',
        'createIOServer',
        'gateway bound',
        'onModuleInit',
        'handleConnection as replaced in createIOServer',
      ]);
    }

    const orphan = new IoAdapter().createIOServer(0);
    onCleanup(() => orphan.close());
    const own = (orphan as unknown as { httpServer: Server }).httpServer;
    expect((own.address() as AddressInfo).port).toBeGreaterThan(0);
  });
});
