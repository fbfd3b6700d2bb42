import 'reflect-metadata';
import { Injectable, Module, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { WebSocketGateway, WsException, type OnGatewayConnection } from '@nestjs/websockets';
import type { Socket } from 'socket.io';
import { BENCH_SECRET } from '../harness/tokens.js';
import { serve } from './serve.js';
import { TenHandlers } from './ten-handlers.js';

interface Claims {
  readonly sub: string;
  readonly roles: readonly string[];
}

/** The set-up of Nest's documentation: `IoAdapter`, the token verified in `handleConnection`, a guard that reads what it left. */
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

await serve(StockModule);
