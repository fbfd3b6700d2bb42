import 'reflect-metadata';
import {
  Injectable,
  Module,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WebSocketGateway, WebSocketServer, WsException, type OnGatewayConnection } from '@nestjs/websockets';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import type { Server, ServerOptions, Socket } from 'socket.io';
import { BENCH_SECRET } from '../harness/tokens.js';
import { MESSAGE, type Message } from '../load/wire.js';
import { serveNest } from './serve.js';
import { TenHandlers } from './ten-handlers.js';

interface Claims {
  readonly sub: string;
  readonly roles: readonly string[];
}

/** The set-up of Nest's documentation: the token verified in `handleConnection`, a guard that reads what it left. */
@Injectable()
class RolesGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const client = context.switchToWs().getClient<Socket>();
    const user = (client.data as { user?: Claims }).user;
    if (!user) throw new WsException('Unauthorized');
    return user.roles.includes('member');
  }
}

@UseGuards(RolesGuard)
@WebSocketGateway()
class StockGateway extends TenHandlers implements OnGatewayConnection<Socket> {
  @WebSocketServer()
  readonly server!: Server;

  constructor(private readonly jwt: JwtService) {
    super();
  }

  async handleConnection(client: Socket): Promise<void> {
    try {
      const { token } = client.handshake.auth as { token: string };
      (client.data as { user?: Claims }).user = await this.jwt.verifyAsync<Claims>(token);
    } catch {
      client.disconnect();
    }
  }
}

@Module({ imports: [JwtModule.register({ secret: BENCH_SECRET })], providers: [StockGateway] })
class StockModule {}

/** As Nest's documentation prints it, in the chapter on adapters. */
class RedisIoAdapter extends IoAdapter {
  private adapterConstructor: ReturnType<typeof createAdapter> | undefined;

  async connectToRedis(url: string): Promise<void> {
    const pubClient = createClient({ url });
    const subClient = pubClient.duplicate();
    await Promise.all([pubClient.connect(), subClient.connect()]);
    this.adapterConstructor = createAdapter(pubClient, subClient);
  }

  override createIOServer(port: number, options?: ServerOptions): Server {
    const server = super.createIOServer(port, options);
    if (this.adapterConstructor) server.adapter(this.adapterConstructor);
    return server;
  }
}

async function useRedis(app: INestApplication): Promise<void> {
  const url = process.env['REDIS_URL'];
  if (!url) return;
  const adapter = new RedisIoAdapter(app);
  await adapter.connectToRedis(url);
  app.useWebSocketAdapter(adapter);
}

await serveNest(StockModule, {
  before: useRedis,
  sends: (app) => {
    const { server } = app.get(StockGateway);
    return { emit: (room: string, message: Message) => server.to(room).emit(MESSAGE, message) };
  },
});
