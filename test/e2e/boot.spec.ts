import { createServer, type AddressInfo } from 'node:net';
import { Injectable, Module, Scope, type DynamicModule, type Provider, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { Test } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  PresenceService,
  REALTIME_OPTIONS,
  REDIS_ADAPTER,
  RealtimeIoAdapter,
  RealtimeModule,
  RealtimeService,
  RoomManager,
  RoomPolicy,
} from 'nestjs-realtime';
import { bootApp, testOptions } from '../support/app.js';
import { connectedClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

declare const NEST_MAJOR: number;

// With Nest 11 the library refuses such gateways at boot.
const itOnNest12 = NEST_MAJOR >= 12 ? it : it.skip;

@WebSocketGateway()
class PlainGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

@Module({})
class FeatureModule {
  static of(name: string): DynamicModule {
    return { module: FeatureModule, providers: [PlainGateway, { provide: name, useValue: name }] };
  }
}

interface Metadata {
  imports?: (Type | DynamicModule)[];
  providers?: Provider[];
}

function appModule(metadata: Metadata): Type {
  @Module({
    imports: [RealtimeModule.forRoot(testOptions()), ...(metadata.imports ?? [])],
    providers: metadata.providers ?? [],
  })
  class AppModule {}
  return AppModule;
}

async function refusal(boot: () => Promise<unknown>): Promise<string> {
  return boot().then(
    () => 'booted',
    (error: unknown) => (error as Error).message,
  );
}

async function initialised(module: Type): Promise<void> {
  const app = await NestFactory.create(module, { logger: false, abortOnError: false });
  try {
    await app.init();
  } finally {
    await app.close();
  }
}

describe('when the module is used wrongly', () => {
  it('lists every invalid option at once', async () => {
    const options = {
      auth: {},
      redis: {},
      limits: { maxRooms: -1 },
      socketio: { parser: {} },
      path: 'x',
      heartbeat: { intervalMs: 0 },
    };
    const message = await refusal(() => bootApp({ realtime: options }));
    for (const name of ['auth', 'redis', 'limits.maxRooms', 'socketio.parser', 'path', 'heartbeat.intervalMs'])
      expect(message).toContain(name);
    expect(message.split('\n').length).toBeGreaterThanOrEqual(7);
  });

  it('refuses a second forRoot', async () => {
    const message = await refusal(() =>
      initialised(appModule({ imports: [RealtimeModule.forRoot(testOptions({ path: '/two' }))] })),
    );
    expect(message).toContain('imported twice');
  });

  it('refuses an adapter that is set before or after it', async () => {
    const module = appModule({ providers: [PlainGateway] });
    const late = await refusal(async () => {
      const app = await NestFactory.create(module, { logger: false, abortOnError: false });
      app.useWebSocketAdapter(new IoAdapter(app));
      await app.init().finally(() => app.close());
    });
    expect(late).toContain('app.useWebSocketAdapter()');
  });

  it('refuses server options on a gateway, and says where they belong', async () => {
    @WebSocketGateway({ cors: { origin: '*' }, pingInterval: 1 })
    class OptionsGateway {}
    const message = await refusal(() => initialised(appModule({ providers: [OptionsGateway] })));
    expect(message).toContain("set 'origins' in RealtimeModule");
    expect(message).toContain("set 'heartbeat' in RealtimeModule");
  });

  it('refuses server options that are functions or objects of a class: none is dropped in silence', async () => {
    class Engine {}
    const options = {
      allowRequest: (_request: unknown, decide: (reason: string, isAllowed: boolean) => void) =>
        decide('closed', false),
      adapter: Engine,
      wsEngine: Engine,
      parser: { Encoder: Engine, Decoder: Engine },
      cookie: new Map([['name', 'io']]),
    };
    @WebSocketGateway(options as object)
    class OptionsGateway {}
    const message = await refusal(() => initialised(appModule({ providers: [OptionsGateway] })));
    for (const name of Object.keys(options))
      expect(message).toContain(`@WebSocketGateway({ ${name} }) on OptionsGateway: server options are the module's`);
    expect(message).toContain("decide in 'origins' or 'auth.verify' of RealtimeModule");
    expect(message).toContain("set 'redis' and 'redis.adapter' in RealtimeModule");
    expect(message).toContain("set 'socketio.cookie' in RealtimeModule");
  });

  it('takes server options on a gateway that say what the module says', async () => {
    @WebSocketGateway({ transports: ['websocket'], pingInterval: 25_000, serveClient: false, destroyUpgrade: false })
    class SameGateway {}
    expect(await refusal(() => initialised(appModule({ providers: [SameGateway] })))).toBe('booted');
  });

  it.each<[string, () => Metadata]>([
    ['two dynamic modules of one class', () => ({ imports: [FeatureModule.of('a'), FeatureModule.of('b')] })],
    [
      'one module under two tokens',
      () => ({ providers: [PlainGateway, { provide: 'alias', useClass: PlainGateway }] }),
    ],
  ])('refuses a gateway in %s', async (_name, metadata) => {
    expect(await refusal(() => initialised(appModule(metadata())))).toMatch(
      /PlainGateway is a provider of \w+ twice: every message would be handled twice/,
    );
  });

  it('takes another token for the same gateway', async () => {
    const providers = [PlainGateway, { provide: 'alias', useExisting: PlainGateway }];
    expect(await refusal(() => initialised(appModule({ providers })))).toBe('booted');
  });

  it('refuses a gateway in two modules, and a reserved event', async () => {
    @Module({ providers: [PlainGateway] })
    class OtherModule {}
    @WebSocketGateway()
    class ReservedGateway {
      @SubscribeMessage('realtime:join')
      join(): void {}
    }
    const message = await refusal(() =>
      initialised(appModule({ imports: [OtherModule], providers: [PlainGateway, ReservedGateway] })),
    );
    expect(message).toContain('every message would be handled twice');
    expect(message).toContain("@SubscribeMessage('realtime:join')");
  });

  it('refuses policies that cannot work, all in one message', async () => {
    @RoomPolicy('chat/:id')
    class One {
      canJoin(): boolean {
        return true;
      }
    }
    @RoomPolicy('chat/:name', { history: { size: 1, ttlMs: 1 } })
    class Two {
      canJoin(): boolean {
        return true;
      }
    }
    @RoomPolicy('bad pattern/:x')
    class Three {}
    const message = await refusal(() => initialised(appModule({ providers: [One, Two, Three] })));
    expect(message).toContain('match the same rooms');
    expect(message).toContain('history.ttlMs: must be a whole number of at least 1000 milliseconds');
    expect(message).toContain("segment 'bad pattern'");
    expect(message).toContain('Three has no canJoin()');
  });
});

describe('when the module is used in other ways', () => {
  it('takes its options asynchronously, and lets tests override them', async () => {
    @Injectable()
    class Config {
      readonly secret = 'not the one that is used';
    }
    @Module({ providers: [Config], exports: [Config] })
    class ConfigModule {}
    const testing = await Test.createTestingModule({
      imports: [
        RealtimeModule.forRootAsync({
          imports: [ConfigModule],
          inject: [Config],
          useFactory: ({ secret }: Config) => ({ auth: { jwt: { secret } } }),
        }),
      ],
      providers: [PlainGateway],
    })
      .overrideProvider(REALTIME_OPTIONS)
      .useValue(testOptions())
      .compile();
    const app = testing.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    const client = await connectedClient(`http://127.0.0.1:${port}`, { auth: { token: mintToken('ada') } });
    expect(await client.ask('ping')).toBe('pong');
    await client[Symbol.asyncDispose]();
    await app.close();
  });

  it('is a publisher without an HTTP server', async () => {
    const context = await NestFactory.createApplicationContext(appModule({}), { logger: false });
    const { id } = await context.get(RoomManager).publish('chat/1', 'message', { text: 'from a job' });
    expect(id).toEqual(expect.any(String));
    context.get(RealtimeService).toUser('ada').emit('note', 1);
    expect(await context.get(PresenceService).list('chat/1')).toMatchObject({ users: [] });
    expect(context.get(RealtimeService).stats().connections).toBe(0);
    expect(context.get(REDIS_ADAPTER, { strict: false })).toBeUndefined();
    await context.close();
  });

  itOnNest12('serves request-scoped gateways', async () => {
    let instances = 0;
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      readonly number = (instances += 1);
    }
    @WebSocketGateway()
    class ScopedGateway {
      constructor(private readonly perRequest: PerRequest) {}
      handleConnection(): void {}
      @SubscribeMessage('number')
      number(): number {
        return this.perRequest.number;
      }
    }
    Reflect.defineMetadata('design:paramtypes', [PerRequest], ScopedGateway);
    await using app = await bootApp({ providers: [ScopedGateway, PerRequest] });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    expect(await client.ask('number')).toEqual(expect.any(Number));
    expect(instances).toBeGreaterThan(0);
  });

  it('lets an app extend the adapter', async () => {
    let created = 0;
    class MyAdapter extends RealtimeIoAdapter {
      override createIOServer(...args: Parameters<RealtimeIoAdapter['createIOServer']>) {
        created += 1;
        return super.createIOServer(...args);
      }
    }
    await using app = await bootApp({ providers: [PlainGateway], realtime: { adapter: MyAdapter } });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    expect(await client.ask('ping')).toBe('pong');
    expect(created).toBe(1);
  });

  it('fails boot without Redis only if it is required', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => closed.once('listening', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const redis = { url: `redis://127.0.0.1:${port}`, connectTimeoutMs: 300 };
    expect(await refusal(() => bootApp({ realtime: { redis: { ...redis, required: true } } }))).toContain(
      'Redis is not reachable',
    );
    await using app = await bootApp({ providers: [PlainGateway], realtime: { redis } });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    expect(await client.ask('ping')).toBe('pong');
  });
});
