import {
  Controller,
  ForbiddenException,
  Get,
  Injectable,
  SetMetadata,
  VersioningType,
  type CanActivate,
} from '@nestjs/common';
import type { ExecutionContext, ModuleMetadata } from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { RealtimeHealthModule } from 'nestjs-realtime/health';
import { ChatGateway } from './app/chat.gateway.js';
import { sessionProvider } from './app/session.js';
import { HandshakeStrategy } from './app/handshake-auth.js';
import { ask, closeClients, connect } from './clients.js';
import { hosts, start, type RunningApp } from './hosts.js';

const Public = (): ReturnType<typeof SetMetadata> => SetMetadata('isPublic', true);

/** The guard of an app in which nothing is public unless it says so. */
@Injectable()
class RefusingGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    if (context.getType() !== 'http') return true;
    if (this.reflector.getAllAndOverride<boolean>('isPublic', [context.getHandler(), context.getClass()])) return true;
    throw new ForbiddenException();
  }
}

@Controller('private')
class PrivateController {
  @Get()
  get(): string {
    return 'never';
  }
}

const probes = ['health/live', 'health/ready', 'health/startup'];

const ours = hosts.filter(({ options }) => options !== undefined);

describe.each(ours)(
  'when an app with a global prefix, URI versioning and a refusing global guard runs on $name',
  (host) => {
    let running: RunningApp;

    beforeAll(async () => {
      const metadata: ModuleMetadata = {
        // The lag of this machine is not what is asked here.
        imports: [RealtimeHealthModule.register({ decorators: [Public()], maxEventLoopLagMs: 0 })],
        controllers: [PrivateController],
        providers: [ChatGateway, HandshakeStrategy, sessionProvider, { provide: APP_GUARD, useClass: RefusingGuard }],
      };
      running = await start(host, metadata, (app) => {
        app.setGlobalPrefix('api', { exclude: probes });
        app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
      });
    });

    afterEach(closeClients);

    afterAll(() => running.app.close());

    it.each(probes)('answers /%s with 200', async (probe) => {
      const response = await fetch(`${running.url}/${probe}`);

      expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ status: 'ok' })]);
    });

    it('refuses everything else, and serves its gateway', async () => {
      expect((await fetch(`${running.url}/api/v1/private`)).status).toBe(403);
      expect(await ask(await connect(running.url), 'header', 'x-absent')).toBe('none');
    });
  },
);
