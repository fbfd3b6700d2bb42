import {
  Catch,
  Injectable,
  UseFilters,
  UseGuards,
  UsePipes,
  type CanActivate,
  type PipeTransform,
} from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { BaseWsExceptionFilter, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Socket } from 'socket.io';
import { Ack, hasAck } from '../../support/ack.js';
import { ask, connect, deferred, startApp } from './support.js';
import { runFixture } from './fixtures/run-fixture.js';

type Handlers = Parameters<IoAdapter['bindMessageHandlers']>[1];

describe('when a client connects', () => {
  it('runs handleConnection without enhancers and unawaited before it binds the messages, and a throw in a hook ends the process', async () => {
    const log: string[] = [];
    const bound: { client: Socket; handlers: Handlers }[] = [];
    const enough = deferred();

    @Injectable()
    class Refuse implements CanActivate, PipeTransform {
      canActivate(): boolean {
        log.push('guard');
        return true;
      }

      transform(value: unknown): unknown {
        log.push('pipe');
        return value;
      }
    }

    @Catch()
    class LogFilter extends BaseWsExceptionFilter {
      override catch(): void {
        log.push('filter');
      }
    }

    class SpyAdapter extends IoAdapter {
      override bindMessageHandlers(...args: Parameters<IoAdapter['bindMessageHandlers']>): void {
        log.push('bindMessageHandlers');
        bound.push({ client: args[0], handlers: args[1] });
        super.bindMessageHandlers(...args);
      }
    }

    @UseGuards(Refuse)
    @UsePipes(Refuse)
    @UseFilters(LogFilter)
    @WebSocketGateway()
    class SlowGateway {
      async handleConnection(client: Socket & { user?: string }): Promise<void> {
        log.push('handleConnection starts');
        await enough.promise;
        client.user = 'ada';
      }

      @SubscribeMessage('whoami')
      whoami(client: Socket & { user?: string }): string {
        return client.user ?? 'nobody';
      }

      @SubscribeMessage('manual')
      manual(@Ack() ack: (answer: string) => void): string {
        ack('by hand');
        return 'ignored';
      }
    }

    @WebSocketGateway()
    class SecondGateway {
      @SubscribeMessage('other')
      other(): string {
        return 'other';
      }
    }

    const { url } = await startApp({ providers: [SlowGateway, SecondGateway] }, (app) =>
      app.useWebSocketAdapter(new SpyAdapter(app)),
    );
    const client = await connect(url);

    expect(await ask(client, 'whoami', {})).toBe('nobody');
    enough.resolve();
    expect(await ask(client, 'whoami', {})).toBe('ada');
    if (hasAck) expect(await ask(client, 'manual', {})).toBe('by hand');
    expect(log.slice(0, 3)).toEqual(['handleConnection starts', 'bindMessageHandlers', 'bindMessageHandlers']);
    expect(log.slice(3, 5)).toEqual(['guard', expect.any(String)]);

    expect(bound.map(({ handlers }) => handlers.map(({ message }) => message as string)).sort()).toEqual([
      ['other'],
      ['whoami', 'manual'],
    ]);
    for (const { client: socket, handlers } of bound) {
      expect(socket.id).toBe(client.id);
      for (const handler of handlers) {
        const { message, isAckHandledManually } = handler;
        expect(Object.keys(handler).sort()).toEqual([
          'callback',
          ...(hasAck ? ['isAckHandledManually'] : []),
          'message',
        ]);
        expect(isAckHandledManually).toBe(hasAck ? message === 'manual' : undefined);
      }
    }
    const whoami = bound.flatMap(({ handlers }) => handlers).find(({ message }) => message === 'whoami');
    expect(await (whoami as Handlers[number]).callback({}, undefined)).toBe('ada');

    for (const hook of ['handleConnection', 'handleDisconnect', 'async handleConnection', 'async handleDisconnect']) {
      expect({ hook, ...(await runFixture('throwing-hook.mjs', hook)) }).toMatchObject({
        hook,
        exitCode: 1,
        stderr: expect.stringContaining(`thrown in ${hook}`) as string,
      });
    }
  });
});
