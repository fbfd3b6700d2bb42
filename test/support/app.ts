import type { AddressInfo } from 'node:net';
import {
  Module,
  type INestApplication,
  type ModuleMetadata,
  type NestApplicationOptions,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { RealtimeModule, type RealtimeOptions } from 'nestjs-realtime';
import { REALTIME_CLOCK, type Clock } from 'nestjs-realtime/testing';
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
  /** In place of the system's. */
  readonly clock?: Clock;
}

export function testOptions(options: Partial<RealtimeOptions> = {}): RealtimeOptions {
  return { auth: { jwt: { secret: TEST_SECRET } }, ...options };
}

/** A Nest app with the module, on a port of the system's choice. */
export async function bootApp({
  realtime,
  logger,
  port: wanted = 0,
  clock,
  imports = [],
  ...metadata
}: TestAppOptions): Promise<TestApp> {
  @Module({ imports: [RealtimeModule.forRoot(testOptions(realtime)), ...imports], ...metadata })
  class TestAppModule {}

  const options: NestApplicationOptions = {
    abortOnError: false,
    ...(process.env['LOG'] || logger === 'log' ? {} : { logger: false }),
  };
  const app = await (clock
    ? createWithClock(TestAppModule, clock, options)
    : NestFactory.create(TestAppModule, options));
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

async function createWithClock(module: Type, clock: Clock, options: NestApplicationOptions): Promise<INestApplication> {
  const testing = Test.createTestingModule({ imports: [module] });
  const compiled = await testing.overrideProvider(REALTIME_CLOCK).useValue(clock).compile();
  return compiled.createNestApplication(options);
}
