import {
  Controller,
  Get,
  Module,
  UseFilters,
  UseGuards,
  type ArgumentsHost,
  type ExceptionFilter,
  type INestApplication,
} from '@nestjs/common';
import { APP_GUARD, ApplicationConfig } from '@nestjs/core';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { Test } from '@nestjs/testing';
import {
  SkipThrottle,
  Throttle,
  ThrottlerModule,
  type ThrottlerModuleOptions,
  type ThrottlerRequest,
} from '@nestjs/throttler';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { AddressInfo } from 'node:net';
import type { Socket as ServerSocket } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import { GENEROUS_MS } from '../../../../../test/support/eventually.js';
import { RealtimeError } from '../../core/realtime-error.js';
import { GatewayGuards } from '../gateway-guards.js';
import { RealtimeThrottlerGuard } from './realtime-throttler.guard.js';

class AckFilter implements ExceptionFilter {
  catch(exception: unknown, host: ArgumentsHost): void {
    const ack = host
      .getArgs()
      .find((argument): argument is (answer: unknown) => void => typeof argument === 'function');
    ack?.({ error: exception instanceof RealtimeError ? exception.toWire() : { code: String(exception) } });
  }
}

@UseFilters(new AckFilter())
@WebSocketGateway({ transports: ['websocket'] })
class ChatGateway {
  handleConnection(socket: ServerSocket): void {
    const { user, address } = socket.handshake.auth as { user?: string; address?: string };
    // As where a proxy says who the client is.
    if (address !== undefined) socket.handshake.address = address;
    if (user !== undefined)
      (socket.data as Record<string, unknown>)['principal'] = { id: user, roles: [], scopes: [], claims: {} };
  }

  @SubscribeMessage('send')
  send(): string {
    return 'sent';
  }

  @Throttle({ default: { ttl: 60_000, limit: 1 } })
  @SubscribeMessage('rare')
  rare(): string {
    return 'done';
  }

  @SkipThrottle()
  @SubscribeMessage('free')
  free(): string {
    return 'done';
  }
}

@Controller()
class PageController {
  @Get('page')
  page(): string {
    return 'page';
  }
}

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close();
});

async function start(
  options: ThrottlerModuleOptions,
  gateway = ChatGateway,
  guard = RealtimeThrottlerGuard,
): Promise<string> {
  @Module({
    imports: [ThrottlerModule.forRoot(options)],
    controllers: [PageController],
    providers: [gateway, { provide: APP_GUARD, useClass: guard }],
  })
  class AppModule {}
  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  const app: INestApplication = module.createNestApplication({ logger: false });
  app.useWebSocketAdapter(new IoAdapter(app));
  await app.listen(0, '127.0.0.1');
  opened.push(app);
  return `http://127.0.0.1:${(app.getHttpServer() as { address(): AddressInfo }).address().port}`;
}

async function connect(url: string, user?: string, address?: string): Promise<Socket> {
  const auth = { ...(user === undefined ? {} : { user }), ...(address === undefined ? {} : { address }) };
  const socket = io(url, { transports: ['websocket'], forceNew: true, auth });
  opened.push(socket);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
  return socket;
}

const ask = (socket: Socket, event: string, ...payload: unknown[]): Promise<unknown> =>
  socket.timeout(GENEROUS_MS).emitWithAck(event, ...payload) as Promise<unknown>;

const limit = (count: number): ThrottlerModuleOptions => [{ ttl: 60_000, limit: count }];
const refused = { error: expect.objectContaining({ code: 'RATE_LIMITED', retryable: true, retryAfterMs: 60_000 }) };

describe('when one guard throttles HTTP and gateways', () => {
  it('leaves HTTP as it was: headers, then 429', async () => {
    const url = await start(limit(2));
    const answers = [await fetch(`${url}/page`), await fetch(`${url}/page`), await fetch(`${url}/page`)];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers[0]?.headers.get('x-ratelimit-remaining')).toBe('1');
    expect(answers[2]?.headers.get('retry-after')).toBe('60');
  });

  it('refuses messages with RATE_LIMITED, with and without a payload', async () => {
    const socket = await connect(await start(limit(2)), 'ada');
    expect(await ask(socket, 'send', { text: 'a' })).toBe('sent');
    expect(await ask(socket, 'send')).toBe('sent');
    expect(await ask(socket, 'send')).toEqual(refused);
  });

  it('bears a throttler that sets headers without asking whether there are any, as before 6.7.1', async () => {
    class HeaderGuard extends RealtimeThrottlerGuard {
      protected override async handleRequest(request: ThrottlerRequest): Promise<boolean> {
        const { res } = this.getRequestResponse(request.context);
        (res as { header(name: string, value: number): void }).header('X-RateLimit-Limit', request.limit);
        return super.handleRequest(request);
      }
    }
    const socket = await connect(await start(limit(1), ChatGateway, HeaderGuard), 'ada');
    expect(await ask(socket, 'send')).toBe('sent');
    expect(await ask(socket, 'send')).toMatchObject({ error: { code: 'RATE_LIMITED' } });
  });

  it('counts by handler, as @Throttle and @SkipThrottle say', async () => {
    const socket = await connect(await start(limit(1)), 'ada');
    expect(await ask(socket, 'send', 1)).toBe('sent');
    expect(await ask(socket, 'rare', 1)).toBe('done');
    expect(await ask(socket, 'rare', 1)).toEqual(refused);
    for (let i = 0; i < 5; i += 1) expect(await ask(socket, 'free', i)).toBe('done');
  });

  it('counts a principal over all its connections, and each principal for itself', async () => {
    const url = await start(limit(1));
    const [tab, otherTab, bob] = [await connect(url, 'ada'), await connect(url, 'ada'), await connect(url, 'bob')];
    expect(await ask(tab, 'send', 1)).toBe('sent');
    expect(await ask(otherTab, 'send', 1)).toEqual(refused);
    expect(await ask(bob, 'send', 1)).toBe('sent');
  });

  it.each([
    ['one /64 of IPv6 as one', '2001:db8:0:1::1', '2001:db8:0:1:ffff::2', refused],
    ['another /64 apart', '2001:db8:0:1::1', '2001:db8:0:2::1', 'sent'],
    ['an IPv4 address and its mapping as one', '9.9.9.9', '::ffff:9.9.9.9', refused],
    ['mapped addresses apart', '::ffff:9.9.9.9', '::ffff:9.9.9.8', 'sent'],
  ])('counts strangers of %s', async (_name, first, second, expected) => {
    const url = await start(limit(1));
    expect(await ask(await connect(url, undefined, first), 'send')).toBe('sent');
    expect(await ask(await connect(url, undefined, second), 'send')).toEqual(expected);
  });

  it('counts by address where nobody is signed in', async () => {
    const url = await start(limit(1));
    const [one, other] = [await connect(url), await connect(url)];
    expect(await ask(one, 'send', 1)).toBe('sent');
    expect(await ask(other, 'send', 1)).toEqual(refused);
  });

  it('serves a tracker and a message that were written for HTTP', async () => {
    const seen: unknown[] = [];
    const url = await start({
      throttlers: [{ ttl: 60_000, limit: 1, ignoreUserAgents: [/^never$/] }],
      errorMessage: 'slow down',
      getTracker: (request) => {
        seen.push(request['ip']);
        return 'everybody';
      },
    });
    const [ada, bob] = [await connect(url, 'ada'), await connect(url, 'bob')];
    expect(await ask(ada, 'send', 1)).toBe('sent');
    expect(await ask(bob, 'send', 1)).toMatchObject({ error: { code: 'RATE_LIMITED', message: 'slow down' } });
    expect(seen).toEqual([expect.stringContaining('127.0.0.1'), expect.stringContaining('127.0.0.1')]);
  });

  it('counts a message once when the gateway runs the global guards too', async () => {
    const bound = { delegate: undefined as GatewayGuards | undefined };
    @UseGuards({ canActivate: (context) => bound.delegate?.canActivate(context) ?? true })
    class BoundGateway extends ChatGateway {}
    Reflect.defineMetadata('websockets:is_gateway', true, BoundGateway);
    WebSocketGateway({ transports: ['websocket'] })(BoundGateway);
    UseFilters(new AckFilter())(BoundGateway);
    const url = await start(limit(2), BoundGateway);
    const app = opened[0] as INestApplication;
    bound.delegate = new GatewayGuards(app.get(ApplicationConfig));
    const socket = await connect(url, 'ada');
    const answers = [await ask(socket, 'send', 1), await ask(socket, 'send', 2), await ask(socket, 'send', 3)];
    expect(answers).toEqual(['sent', 'sent', refused]);
  });
});
