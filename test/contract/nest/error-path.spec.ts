import { BadRequestException, Injectable, UseGuards, UseInterceptors, UsePipes } from '@nestjs/common';
import type { ArgumentsHost, CanActivate, NestInterceptor, PipeTransform } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { SubscribeMessage, WebSocketGateway, WsException } from '@nestjs/websockets';
import { WsExceptionsHandler } from '@nestjs/websockets/exceptions/ws-exceptions-handler.js';
import type { Socket } from 'socket.io';
import { isObservable, throwError, type Observable } from 'rxjs';
import { ask, connect, next, onCleanup, startApp } from './support.js';

const failure = (): never => {
  throw new BadRequestException('not like this');
};

@Injectable()
class Refusing implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Injectable()
class FailingPipe implements PipeTransform {
  transform(): never {
    return failure();
  }
}

@Injectable()
class FailingInterceptor implements NestInterceptor {
  intercept(): Observable<unknown> {
    return throwError(() => new BadRequestException('not like this'));
  }
}

@WebSocketGateway()
class FailingGateway {
  client: Socket | undefined;

  handleConnection(client: Socket): void {
    this.client = client;
  }

  @SubscribeMessage('handler')
  handler(): unknown {
    return failure();
  }

  @UseGuards(Refusing)
  @SubscribeMessage('guard')
  guard(): string {
    return 'never';
  }

  @UsePipes(FailingPipe)
  @SubscribeMessage('pipe')
  pipe(): string {
    return 'never';
  }

  @UseInterceptors(FailingInterceptor)
  @SubscribeMessage('interceptor')
  interceptor(): string {
    return 'never';
  }

  @SubscribeMessage('observable')
  observable(): Observable<unknown> {
    return throwError(() => new BadRequestException('not like this'));
  }

  @SubscribeMessage('ws-exception')
  wsException(): unknown {
    throw new WsException('told');
  }

  @SubscribeMessage('nothing')
  nothing(): void {}

  @SubscribeMessage('domain-object')
  domainObject(): unknown {
    return { event: 'order.created', data: { id: 1 }, version: 2 };
  }

  @SubscribeMessage('fence')
  fence(): string {
    return 'fence';
  }
}

interface Handled {
  exception: unknown;
  args: unknown[];
}

describe('when something fails on the way of a message', () => {
  it('hands every failure to WsExceptionsHandler.handle, emits exception with the payload echoed, and never calls the ack', async () => {
    const steps: string[] = [];
    const handled: Handled[] = [];
    const original = WsExceptionsHandler.prototype.handle;
    onCleanup(() => (WsExceptionsHandler.prototype.handle = original));
    WsExceptionsHandler.prototype.handle = function (exception: Error, host: ArgumentsHost) {
      steps.push('handle');
      handled.push({ exception, args: host.getArgs() });
      return original.call(this, exception, host);
    };

    class SpyAdapter extends IoAdapter {
      override bindMessageHandlers(
        socket: Parameters<IoAdapter['bindMessageHandlers']>[0],
        handlers: Parameters<IoAdapter['bindMessageHandlers']>[1],
        transform: Parameters<IoAdapter['bindMessageHandlers']>[2],
      ): void {
        const spied = handlers.map(({ callback, ...rest }) => ({
          ...rest,
          callback: async (...args: unknown[]): Promise<unknown> => {
            const result = (await callback(...args)) as unknown;
            steps.push(isObservable(result) ? 'resolved to an Observable' : `resolved to ${String(result)}`);
            return result;
          },
        }));
        super.bindMessageHandlers(socket, spied, transform);
      }
    }

    const { app, url } = await startApp({ providers: [FailingGateway] }, (prepared) =>
      prepared.useWebSocketAdapter(new SpyAdapter(prepared)),
    );
    const client = await connect(url);
    const acks: unknown[] = [];
    const ack = (answer: unknown): void => void acks.push(answer);
    const internal = 'Internal server error';

    for (const [event, message, exception] of [
      ['handler', internal, BadRequestException],
      ['guard', 'Forbidden resource', WsException],
      ['pipe', internal, BadRequestException],
      ['interceptor', internal, BadRequestException],
      ['observable', internal, BadRequestException],
      ['ws-exception', 'told', WsException],
    ] as const) {
      const payload = { secret: event };
      const answered = next(client, 'exception');
      client.emit(event, payload, ack);

      expect(await answered).toEqual([{ status: 'error', message, cause: { pattern: event, data: payload } }]);
      expect(await ask(client, 'fence')).toBe('fence');
      const [failed] = handled.splice(0);
      expect(failed?.exception).toBeInstanceOf(exception);
      expect(failed?.args).toEqual([app.get(FailingGateway).client, payload, expect.any(Function), event]);
      const isStream = event === 'observable' || event === 'interceptor';
      const order = isStream ? ['resolved to an Observable', 'handle'] : ['handle', 'resolved to undefined'];
      expect(steps.splice(0)).toEqual([...order, 'resolved to fence']);
    }

    const hijacked = next(client, 'order.created');
    client.emit('nothing', {}, ack);
    client.emit('unknown event', {}, ack);
    client.emit('domain-object', {}, ack);
    expect(await hijacked).toEqual([{ id: 1 }]);
    expect(await ask(client, 'fence')).toBe('fence');
    expect(acks).toEqual([]);
    expect(handled).toEqual([]);
  });
});
