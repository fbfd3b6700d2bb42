import { type CanActivate, type ExecutionContext, Injectable, UnauthorizedException } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';

interface HttpRequest {
  headers: { authorization?: string };
}

/** For the demo's HTTP routes; connections are authenticated by the realtime module. */
@Injectable()
export class BearerGuard implements CanActivate {
  constructor(private readonly jwt: JwtService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { authorization = '' } = context.switchToHttp().getRequest<HttpRequest>().headers;
    const [scheme, token = ''] = authorization.split(' ');
    try {
      if (scheme !== 'Bearer') throw new Error('no bearer token');
      await this.jwt.verifyAsync<object>(token, { algorithms: ['HS256'] });
      return true;
    } catch {
      throw new UnauthorizedException();
    }
  }
}
