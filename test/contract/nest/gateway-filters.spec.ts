import { Catch, UseFilters, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { ApplicationConfig, ModulesContainer } from '@nestjs/core';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { ask, connect, startApp } from './support.js';

type Ack = (answer: unknown) => void;

const GATEWAY = 'websockets:is_gateway';
const OPTIONS = 'websockets:gateway_options';
const EVENT = 'message';
const FILTERS = '__exceptionFilters__';

class UsersError extends Error {}

@Catch(UsersError)
class UsersFilter implements ExceptionFilter {
  catch(_exception: UsersError, host: ArgumentsHost): void {
    host.getArgs<unknown[]>().find((arg): arg is Ack => typeof arg === 'function')?.('answered by the user');
  }
}

@Catch()
class PrependedFilter implements ExceptionFilter {
  catch(exception: Error, host: ArgumentsHost): void {
    const ack = host.getArgs<unknown[]>().find((arg): arg is Ack => typeof arg === 'function');
    ack?.({ error: exception.message });
  }
}

@WebSocketGateway({ namespace: '/', serveClient: true })
class BareGateway {
  @SubscribeMessage('bare')
  bare(): never {
    throw new Error('bare');
  }
}

@UseFilters(UsersFilter)
@WebSocketGateway()
class FilteredGateway {
  @SubscribeMessage('class')
  onClass(): never {
    throw new UsersError();
  }

  @SubscribeMessage('class, other error')
  otherError(): never {
    throw new Error('other');
  }
}

@WebSocketGateway()
class MethodFilterGateway {
  @UseFilters(UsersFilter)
  @SubscribeMessage('method')
  onMethod(): never {
    throw new UsersError();
  }
}

const gateways = [BareGateway, FilteredGateway, MethodFilterGateway];

describe('when a provider factory prepends a filter instance to the metadata of every gateway', () => {
  it('is asked last, after the filters of the user, and finds the ack in the arguments', async () => {
    const found: unknown[] = [];
    const installer = {
      provide: 'INSTALLER',
      inject: [ApplicationConfig, ModulesContainer],
      useFactory: (_config: ApplicationConfig, modules: ModulesContainer) => {
        const filter = new PrependedFilter();
        for (const { providers } of modules.values()) {
          for (const { metatype } of providers.values()) {
            if (!metatype || !Reflect.hasMetadata(GATEWAY, metatype)) continue;
            found.push(metatype);
            const own = (Reflect.getMetadata(FILTERS, metatype) ?? []) as unknown[];
            Reflect.defineMetadata(FILTERS, [filter, ...own], metatype);
          }
        }
      },
    };
    const { url } = await startApp({ providers: [installer, ...gateways] });
    const client = await connect(url);

    expect(found).toEqual(gateways);
    expect(Reflect.getMetadata(GATEWAY, BareGateway)).toBe(true);
    expect(Reflect.getMetadata(OPTIONS, BareGateway)).toEqual({ namespace: '/', serveClient: true });
    const bare = Object.getOwnPropertyDescriptor(BareGateway.prototype, 'bare')?.value as object;
    expect(Reflect.getMetadata(EVENT, bare)).toBe('bare');
    expect(await ask(client, 'bare')).toEqual({ error: 'bare' });
    expect(await ask(client, 'class')).toBe('answered by the user');
    expect(await ask(client, 'class, other error')).toEqual({ error: 'other' });
    expect(await ask(client, 'method')).toBe('answered by the user');
  });
});
