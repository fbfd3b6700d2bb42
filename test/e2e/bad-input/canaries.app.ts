import {
  BadRequestException,
  Catch,
  Injectable,
  InternalServerErrorException,
  UseFilters,
  UseGuards,
  UsePipes,
  type CanActivate,
  type ExceptionFilter,
  type PipeTransform,
} from '@nestjs/common';
import { Throttle, ThrottlerModule } from '@nestjs/throttler';
import { MessageBody, SubscribeMessage, WebSocketGateway, WsException } from '@nestjs/websockets';
import {
  CurrentPrincipal,
  RoomManager,
  RoomPolicy,
  type JoinDecision,
  type Principal,
  type RealtimeOptions,
  type RoomContext,
} from 'nestjs-realtime';
import { RealtimeThrottlerGuard, RealtimeThrottlerModule, RealtimeThrottlerStorage } from 'nestjs-realtime/throttler';
import type { TestAppOptions } from '../../support/app.js';
import { canary, leaks } from '../../support/leaks/leak-watch.js';
import { TEST_SECRET } from '../../support/tokens.js';

/** What stands in messages, causes and stacks of errors. Each is logged, and no client gets it. */
const INSIDE = {
  message: canary('the message of an error'),
  cause: canary('the cause of an error'),
  guard: canary("the message of a guard's error"),
  pipe: canary("the message of a pipe's error"),
  filter: canary("the message of a filter's error"),
  policy: canary("the message of a policy's error"),
  mapping: canary('the message of an error in auth.principal'),
  connection: canary('the message of an error in handleConnection'),
};

/** Only Ada's own connections may read it. */
export const PRIVATE = canary('what stands in a private room', ['ada']);
export const CLAIM = canary('a claim of a token');
/** Of the device that a list of 16 leaves out. */
export const UNLISTED = canary('the metadata of a device that is not listed', ['ada']);
/** Behind a proxy that the app trusts (RFC 5737, a documentation address). */
export const ADDRESS = '203.0.113.177';
leaks.remember({ text: ADDRESS, what: 'the address of a client', users: [] });

@Injectable()
class FailingGuard implements CanActivate {
  canActivate(): never {
    throw new Error(INSIDE.guard);
  }
}

@Injectable()
class FailingPipe implements PipeTransform {
  transform(): never {
    throw new Error(INSIDE.pipe);
  }
}

@Catch()
class FailingFilter implements ExceptionFilter {
  catch(): never {
    throw new Error(INSIDE.filter);
  }
}

export const FAILURES = ['error', 'http', 'validation', 'ws', 'text', 'object', 'rejected'] as const;

function failureOf(kind: string): unknown {
  const cause = new Error(INSIDE.cause);
  switch (kind) {
    case 'http':
      return new InternalServerErrorException(INSIDE.message, { cause });
    case 'validation':
      return new BadRequestException({ message: ['name must be a string'], value: INSIDE.message }, { cause });
    case 'ws':
      return new WsException({ code: 'ODD', message: 'Odd', cause: INSIDE.cause, stack: INSIDE.message });
    case 'text':
      return INSIDE.message;
    case 'object':
      return { [INSIDE.message]: INSIDE.cause };
    default:
      return new Error(INSIDE.message, { cause });
  }
}

@WebSocketGateway({ namespace: 'app' })
class AppGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('ping')
  ping(@CurrentPrincipal() { id }: Principal): string {
    return id;
  }

  @SubscribeMessage('say')
  say(@MessageBody() { room, text }: { room: string; text: string }): unknown {
    return this.rooms.publish(room, 'said', { text });
  }

  @SubscribeMessage('fail')
  fail(@MessageBody() { kind }: { kind: string }): Promise<never> {
    if (kind === 'rejected') return Promise.reject(new Error(INSIDE.message));
    throw failureOf(kind);
  }

  @UseGuards(FailingGuard)
  @SubscribeMessage('guarded')
  guarded(): string {
    return 'never';
  }

  @UsePipes(FailingPipe)
  @SubscribeMessage('piped')
  piped(@MessageBody() body: unknown): unknown {
    return body;
  }

  @UseFilters(FailingFilter)
  @SubscribeMessage('filtered')
  filtered(): never {
    throw new Error(INSIDE.message);
  }

  @UseGuards(RealtimeThrottlerGuard)
  @Throttle({ default: { limit: 1, ttl: 60_000 } })
  @SubscribeMessage('rare')
  rare(): string {
    return 'once';
  }
}

@WebSocketGateway({ namespace: 'admin' })
class AdminGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

@WebSocketGateway({ namespace: 'broken' })
class BrokenGateway {
  handleConnection(): never {
    throw new Error(INSIDE.connection);
  }
}

@Injectable()
@RoomPolicy('chat/:id', { presence: true, history: { size: 20, ttlMs: 60_000 } })
class ChatPolicy {
  canJoin({ params }: RoomContext): boolean {
    if (params['id'] === 'broken') throw new Error(INSIDE.policy);
    return params['id'] !== 'closed';
  }

  canPublish({ data }: { data: unknown }): boolean {
    if (data === 'broken') throw new Error(INSIDE.policy);
    return true;
  }
}

@Injectable()
@RoomPolicy('private/:id', { presence: true, history: { size: 20, ttlMs: 60_000 } })
class PrivatePolicy {
  canJoin({ principal, params }: RoomContext): JoinDecision {
    return { allow: principal.id === params['id'], state: { note: PRIVATE } };
  }
}

export function canaryApp(redis: RealtimeOptions['redis']): TestAppOptions {
  const throttler = {
    imports: [RealtimeThrottlerModule],
    inject: [RealtimeThrottlerStorage],
    useFactory: (storage: RealtimeThrottlerStorage) => ({ throttlers: [{ ttl: 60_000, limit: 1_000 }], storage }),
  };
  return {
    imports: [ThrottlerModule.forRootAsync(throttler)],
    providers: [AppGateway, AdminGateway, BrokenGateway, ChatPolicy, PrivatePolicy],
    realtime: {
      redis,
      transports: ['polling', 'websocket'],
      trustProxy: ['127.0.0.1'],
      presence: { coalesceMs: 0, leaveGraceMs: 0 },
      auth: {
        jwt: { secret: TEST_SECRET },
        principal: ({ sub, roles }) => {
          if (sub === 'broken') throw new Error(INSIDE.mapping);
          return { id: String(sub), roles: (roles as string[] | undefined) ?? [] };
        },
      },
    },
  };
}
