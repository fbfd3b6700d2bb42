// Where the same app runs: stock or with our module imported, on Express or Fastify. Nothing but the listed options differs.
import { Module, type INestApplication, type ModuleMetadata, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { RealtimeModule, type RealtimeOptions } from 'nestjs-realtime';

export interface RunningApp {
  app: INestApplication;
  url: string;
}

export interface Host {
  name: string;
  http: 'express' | 'fastify';
  /** Undefined: stock, nothing of ours is imported. */
  options: RealtimeOptions | undefined;
}

const transports: RealtimeOptions['transports'] = ['polling', 'websocket'];

/** All that an app with polling-first clients has to say: the transports, and who authenticates. */
const optionSets: Record<string, RealtimeOptions | undefined> = {
  stock: undefined,
  'ours with a verify': { transports, auth: { verify: () => ({ id: randomUUID() }) } },
  'ours leaving / to the app': { transports, auth: { verify: () => null, namespaces: { '/': false } } },
};

export const hosts: Host[] = Object.entries(optionSets).flatMap(([name, options]) =>
  (['express', 'fastify'] as const).map((http) => ({ name: `${name}, ${http}`, http, options })),
);

type Prepare = (app: INestApplication) => void | Promise<void>;

/** A listening app; `prepare` is what the user's main.ts does before `listen`. */
export async function start(
  host: Host,
  metadata: ModuleMetadata,
  prepare: Prepare = () => undefined,
): Promise<RunningApp> {
  const ours = host.options ? [RealtimeModule.forRoot(host.options)] : [];
  const App = moduleOf({ ...metadata, imports: [...ours, ...(metadata.imports ?? [])] });
  const adapter = host.http === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const app = await NestFactory.create<INestApplication>(App, adapter as ExpressAdapter, {
    logger: false,
    abortOnError: false,
  });
  await prepare(app);
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  return { app, url: `http://127.0.0.1:${port}` };
}

function moduleOf(metadata: ModuleMetadata): Type {
  class AppModule {}
  Module(metadata)(AppModule);
  return AppModule;
}
