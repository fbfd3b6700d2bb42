import {
  BadRequestException,
  Catch,
  Injectable,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { BaseWsExceptionFilter, SubscribeMessage, WebSocketGateway, WsException } from '@nestjs/websockets';
import { throwError, type Observable } from 'rxjs';
import { bootApp, type TestApp } from '../support/app.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@Injectable()
class RefusingGuard implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

class RefusingPipe implements PipeTransform {
  transform(): never {
    throw new BadRequestException(['text must be a string']);
  }
}

class RefusingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, _next: CallHandler): Observable<unknown> {
    throw new WsException({ code: 'CONFLICT', message: 'The interceptor says no' });
  }
}

/** Emits `exception` as Nest does, knows nothing of acks. */
@Catch()
class PlainFilter extends BaseWsExceptionFilter {}

@Catch()
class AckingFilter implements ExceptionFilter {
  catch(_exception: unknown, host: ArgumentsHost): void {
    const ack = host.getArgs<unknown[]>().find((arg) => typeof arg === 'function') as
      ((value: unknown) => void) | undefined;
    if (ack) ack({ error: { code: 'FILTERED', message: 'The filter has answered', retryable: false } });
    else
      host
        .switchToWs()
        .getClient<{ emit: (event: string, value: unknown) => void }>()
        .emit('exception', { code: 'FILTERED' });
  }
}

@Catch()
class ThrowingFilter implements ExceptionFilter {
  catch(): never {
    throw new Error('the filter is broken');
  }
}

const FILTERS = { none: undefined, plain: PlainFilter, acking: AckingFilter, throwing: ThrowingFilter } as const;
type FilterName = keyof typeof FILTERS;

/** Five ways to fail, with the filter on the class or on each method. */
function gatewayWith(namespace: string, filter: FilterName, place: 'gateway' | 'method') {
  const Filter = FILTERS[filter];
  const decorator = Filter ? UseFilters(new Filter()) : () => undefined;
  const onMethod = (place === 'method' ? decorator : () => undefined) as MethodDecorator;

  @WebSocketGateway({ namespace })
  class FailingGateway {
    @onMethod
    @SubscribeMessage('handler')
    handler(): never {
      throw new WsException('The handler says no');
    }

    @onMethod
    @UseGuards(RefusingGuard)
    @SubscribeMessage('guard')
    guard(): string {
      return 'reached';
    }

    @onMethod
    @UsePipes(RefusingPipe)
    @SubscribeMessage('pipe')
    pipe(_data: unknown): string {
      return 'reached';
    }

    @onMethod
    @UseInterceptors(RefusingInterceptor)
    @SubscribeMessage('interceptor')
    interceptor(): string {
      return 'reached';
    }

    @onMethod
    @SubscribeMessage('observable')
    observable(): Observable<never> {
      return throwError(() => new WsException('The stream says no'));
    }

    @SubscribeMessage('fence')
    fence(): string {
      return 'fence';
    }
  }
  if (place === 'gateway' && Filter) (decorator as ClassDecorator)(FailingGateway);
  return FailingGateway;
}

const SOURCES = ['handler', 'guard', 'pipe', 'interceptor', 'observable'] as const;
const PLACES: { name: string; filter: FilterName; place: 'gateway' | 'method' }[] = [
  { name: 'no filter', filter: 'none', place: 'gateway' },
  { name: 'a filter on the gateway', filter: 'plain', place: 'gateway' },
  { name: 'a filter on the method', filter: 'plain', place: 'method' },
  { name: 'a filter that acks', filter: 'acking', place: 'gateway' },
  { name: 'a filter that throws', filter: 'throwing', place: 'method' },
];
const CODES: Record<(typeof SOURCES)[number], string> = {
  handler: 'BAD_REQUEST',
  guard: 'FORBIDDEN',
  pipe: 'BAD_REQUEST',
  interceptor: 'CONFLICT',
  observable: 'BAD_REQUEST',
};

function expectedCode(source: (typeof SOURCES)[number], filter: FilterName): string {
  if (filter === 'acking') return 'FILTERED';
  if (filter === 'throwing') return 'INTERNAL';
  return CODES[source];
}

describe.each(PLACES)('when a message fails under $name', ({ filter, place }) => {
  let app: TestApp;
  let client: StockClient;

  beforeAll(async () => {
    app = await bootApp({ providers: [gatewayWith('/fails', filter, place)] });
    client = await connectedClient(`${app.url}/fails`, { auth: { token: mintToken('ada') } });
  });

  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();
  });

  it.each(SOURCES)('answers a failing %s once in the ack, as an error', async (source) => {
    const answers: unknown[] = [];
    client.socket.emit(source, { text: 1 }, (...values: unknown[]) => answers.push(values));
    expect(await client.ask('fence')).toBe('fence');
    expect(answers).toEqual([[{ error: expect.objectContaining({ code: expectedCode(source, filter) }) }]]);
  });

  it.each(SOURCES)('answers a failing %s once without an ack, as an exception', async (source) => {
    await client.ask('fence');
    const before = client.inbox.all.length;
    client.socket.emit(source, { text: 1 });
    expect(await client.ask('fence')).toBe('fence');
    const heard = client.inbox.all.slice(before);
    expect(heard.map(({ event }) => event)).toEqual(['exception']);
    expect(JSON.stringify(heard)).not.toContain('reached');
  });
});
