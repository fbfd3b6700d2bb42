import { Injectable, type ExecutionContext } from '@nestjs/common';
import { AuthGuard, PassportStrategy } from '@nestjs/passport';
import { WsException } from '@nestjs/websockets';
import { Strategy } from 'passport-custom';
import type { Socket } from 'socket.io';

export type Handshake = Socket['handshake'] & { user?: { name: string } };

/** Takes the user from a header of the handshake: what stands for anything that Passport can do. */
@Injectable()
export class HandshakeStrategy extends PassportStrategy(Strategy, 'handshake') {
  validate(request: unknown): { name: string } | null {
    const name = (request as Handshake).headers['x-user'];
    return typeof name === 'string' ? { name } : null;
  }
}

/** A Passport guard on a gateway, as people write it: the handshake is the request. */
@Injectable()
export class HandshakeGuard extends AuthGuard('handshake') {
  override getRequest(context: ExecutionContext): unknown {
    return context.switchToWs().getClient<Socket>().handshake;
  }

  override handleRequest<T>(error: unknown, user: T | false | null): T {
    if (error || !user) throw new WsException('who are you?');
    return user;
  }
}
