import { Injectable, UseGuards, UseInterceptors, UsePipes } from '@nestjs/common';
import type { CallHandler, CanActivate, NestInterceptor, PipeTransform } from '@nestjs/common';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { WsContextCreator } from '@nestjs/websockets/context/ws-context-creator.js';
import { hasAck } from '../../support/ack.js';
import { connect, onCleanup, startApp } from './support.js';

@Injectable()
class Passing implements CanActivate, PipeTransform, NestInterceptor {
  canActivate(): boolean {
    return true;
  }

  transform(value: unknown): unknown {
    return value;
  }

  intercept(_context: unknown, next: CallHandler) {
    return next.handle();
  }
}

@WebSocketGateway()
class PartsGateway {
  @SubscribeMessage('plain')
  plain(client: unknown, data: unknown): unknown {
    return { event: 'plain', data: [typeof client, data] };
  }

  @UseGuards(Passing)
  @SubscribeMessage('guarded')
  guarded(@MessageBody() data: unknown, @ConnectedSocket() client: unknown): unknown {
    return { event: 'guarded', data: [typeof client, data] };
  }

  @UsePipes(Passing)
  @UseInterceptors(Passing)
  @SubscribeMessage('rich')
  rich(@MessageBody('id', Passing) id: unknown): unknown {
    return { event: 'rich', data: id };
  }
}

interface Parameter {
  readonly index: number;
  readonly pipes: readonly unknown[];
  readonly extractValue: (...args: unknown[]) => unknown;
}

type Create = (this: object, instance: object, callback: { name: string }, ...rest: unknown[]) => unknown;

/** Runs an app whose handlers are put together by a creator that notes its steps. */
async function notedSteps(): Promise<Map<string, Record<string, unknown>>> {
  const noted = new Map<string, Record<string, unknown>>();
  const creator = WsContextCreator.prototype as unknown as { create: Create };
  const create = Reflect.get<typeof creator, 'create'>(creator, 'create');
  onCleanup(() => (creator.create = create));
  creator.create = function (instance, callback, ...rest) {
    const steps: Record<string, unknown> = { context: rest[2] };
    noted.set(callback.name, steps);
    const own = this as Record<string, { create(...args: unknown[]): unknown }>;
    const method = (name: string) => Reflect.get(this, name) as (...args: unknown[]) => unknown;
    const noting = Object.assign(Object.create(this) as object, {
      createPipesFn(...args: unknown[]) {
        [steps['pipes'], steps['parameters']] = args;
        return method('createPipesFn').apply(this, args);
      },
      createGuardsFn(...args: unknown[]) {
        [steps['guards']] = args;
        return method('createGuardsFn').apply(this, args);
      },
      interceptorsContextCreator: {
        create: (...args: unknown[]) => (steps['interceptors'] = own['interceptorsContextCreator']?.create(...args)),
      },
      wsProxy: {
        create: (...args: unknown[]) => {
          [, steps['exceptions'], steps['pattern']] = args;
          return own['wsProxy']?.create(...args);
        },
      },
    });
    return create.call(noting, instance, callback, ...rest);
  };
  const { url } = await startApp({ providers: [PartsGateway] });
  const client = await connect(url);
  client.emit('plain', 1);
  await new Promise((resolve) => client.once('plain', resolve));
  return noted;
}

describe('Nest, when it puts a handler together', () => {
  it('takes each part by a step that can be seen, in the context of singletons', async () => {
    const noted = await notedSteps();
    const sizes = [...noted].map(([name, { guards, pipes, parameters, interceptors }]) => {
      const own = (parameters as Parameter[]).map((one) => one.pipes.length);
      return [name, ...[guards, pipes, interceptors].map((part) => (part as unknown[]).length), own];
    });
    expect(sizes).toEqual([
      ['plain', 0, 0, 0, hasAck ? [0, 0, 0] : [0, 0]],
      ['guarded', 1, 0, 0, [0, 0]],
      ['rich', 0, 1, 1, [1]],
    ]);
    for (const [name, { exceptions, pattern, context }] of noted) {
      expect((exceptions as { handle: unknown }).handle).toBeInstanceOf(Function);
      expect(pattern).toBe(name);
      expect((context as { id: number } | undefined)?.id ?? 1).toBe(1);
    }
  });

  it('finds parameters by place, from client, payload and ack', async () => {
    const noted = await notedSteps();
    const ack = (): void => undefined;
    const values = (name: string): unknown[] => {
      const found: unknown[] = [];
      for (const { index, extractValue } of noted.get(name)?.['parameters'] as Parameter[])
        found[index] = extractValue('client', { id: 7 }, ack, name);
      return found;
    };
    expect(values('plain')).toEqual(['client', { id: 7 }, ...(hasAck ? [ack] : [])]);
    expect(values('guarded')).toEqual([{ id: 7 }, 'client']);
    expect(values('rich')).toEqual([7]);
  });
});
