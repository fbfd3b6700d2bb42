import type { AddressInfo } from 'node:net';
import { Module, type INestApplication, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RealtimeModule, type RealtimeOptions } from 'nestjs-realtime';
import { endTransports } from './live-sockets.js';
import { TEST_SECRET } from './tokens.js';

export interface TestApp extends AsyncDisposable {
  readonly app: INestApplication;
  readonly url: string;
}

export interface TestAppOptions extends ModuleMetadata {
  readonly realtime?: Partial<RealtimeOptions>;
  readonly logger?: false | 'log';
  /** Only to come back on the port that an app of the same test has just left. */
  readonly port?: number;
}

export function testOptions(options: Partial<RealtimeOptions> = {}): RealtimeOptions {
  return { auth: { jwt: { secret: TEST_SECRET } }, ...options };
}

/** A Nest app with the module, on a port of the system's choice. */
export async function bootApp({
  realtime,
  logger,
  port: wanted = 0,
  imports = [],
  ...metadata
}: TestAppOptions): Promise<TestApp> {
  @Module({ imports: [RealtimeModule.forRoot(testOptions(realtime)), ...imports], ...metadata })
  class TestAppModule {}

  const app = await NestFactory.create(TestAppModule, {
    abortOnError: false,
    ...(process.env['LOG'] || logger === 'log' ? {} : { logger: false }),
  });
  try {
    await app.listen(wanted, '127.0.0.1');
  } catch (error) {
    await app.close();
    throw error;
  }
  const { port } = app.getHttpServer().address() as AddressInfo;
  const dispose = async (): Promise<void> => {
    try {
      await endTransports(app);
    } finally {
      await app.close();
    }
  };
  return { app, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: dispose };
}
