import { Controller, Get, HttpCode, Param, Post, Req, type Provider } from '@nestjs/common';
import session from 'express-session';
import type { IncomingMessage } from 'node:http';

declare module 'express-session' {
  interface SessionData {
    user: string;
  }
}

export type SessionMiddleware = ReturnType<typeof session>;
export type RequestWithSession = IncomingMessage & { session?: session.Session & Partial<session.SessionData> };

/** One session middleware for HTTP (`app.use`) and for Engine.IO (`io.engine.use`), as Socket.IO's guide does it. */
export const SESSION = 'SESSION';

export const sessionProvider: Provider = {
  provide: SESSION,
  useFactory: (): SessionMiddleware => session({ secret: 'of the test', resave: false, saveUninitialized: false }),
};

@Controller()
export class SessionController {
  @Post('login/:user')
  @HttpCode(204)
  login(@Req() request: RequestWithSession & { raw?: RequestWithSession }, @Param('user') user: string): void {
    const { session } = request.raw ?? request;
    if (session) session.user = user;
  }

  @Get('hello')
  hello(): { hello: string } {
    return { hello: 'http' };
  }
}
