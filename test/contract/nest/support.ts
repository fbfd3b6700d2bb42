// What every contract spec shares: which Nest runs, real apps on port 0 and real clients, all of them closed after each test.
// It must never import the library: these specs say what Nest and Socket.IO do without us.
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import {
  Module,
  type INestApplication,
  type ModuleMetadata,
  type NestApplicationOptions,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IoAdapter } from '@nestjs/platform-socket.io';
import type { Server, ServerOptions } from 'socket.io';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';

declare const NEST_MAJOR: number;

const require = createRequire(import.meta.url);

/** The directory of an installed package, as this Jest project resolves it. */
export function packageRoot(name: string): string {
  const suffix = join('node_modules', ...name.split('/'));
  let directory = dirname(require.resolve(name));
  while (!directory.endsWith(suffix)) directory = dirname(directory);
  return directory;
}

export function packageJson(name: string): { version: string; type?: string } {
  return JSON.parse(readFileSync(join(packageRoot(name), 'package.json'), 'utf8')) as {
    version: string;
    type?: string;
  };
}

/** The major version of the Nest under test: 11 or 12. */
export const nestMajor = Number.parseInt(packageJson('@nestjs/core').version, 10);

if (nestMajor !== NEST_MAJOR) throw new Error(`the project is for Nest ${NEST_MAJOR}, but resolves Nest ${nestMajor}`);

const DEADLINE_MS = 5_000;
const cleanups: (() => unknown)[] = [];

/** Runs after the test, last registered first. */
export function onCleanup(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A module class from plain metadata, so that a spec needs no decorator for it. */
export function moduleOf(metadata: ModuleMetadata): Type {
  class AppModule {}
  Module(metadata)(AppModule);
  return AppModule;
}

export interface RunningApp {
  app: INestApplication;
  url: string;
}

/** Starts a listening app; `prepare` runs before `listen`, where a user's main.ts has its lines. */
export async function startApp(
  metadata: ModuleMetadata,
  prepare: (app: INestApplication) => void = () => undefined,
  options: NestApplicationOptions = {},
): Promise<RunningApp> {
  const app = await NestFactory.create(moduleOf(metadata), { logger: false, abortOnError: false, ...options });
  onCleanup(() => app.close());
  prepare(app);
  return { app, url: await listen(app) };
}

export async function listen(app: INestApplication): Promise<string> {
  await app.listen(0, '127.0.0.1');
  return `http://127.0.0.1:${(app.getHttpServer() as { address(): AddressInfo }).address().port}`;
}

/** IoAdapter with two seams: options for the server that it creates, and a look at that server before anyone connects. */
export class SeamAdapter extends IoAdapter {
  constructor(
    app: INestApplication,
    private readonly created: (server: Server) => void = () => undefined,
    private readonly extra: Partial<ServerOptions> = {},
  ) {
    super(app);
  }

  override createIOServer(
    ...[port, options]: Parameters<IoAdapter['createIOServer']>
  ): ReturnType<IoAdapter['createIOServer']> {
    const server = super.createIOServer(port, { ...options, ...this.extra } as typeof options);
    this.created(server);
    return server;
  }
}

/** A stock client that does not reconnect. */
export function open(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Socket {
  const client = io(url, { transports: ['websocket'], forceNew: true, reconnection: false, ...options });
  onCleanup(() => client.disconnect());
  return client;
}

/** A connected stock client; rejects with what the server refused it for. */
export async function connect(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Promise<Socket> {
  const client = open(url, options);
  await new Promise<void>((resolve, reject) => {
    client.once('connect', resolve);
    client.once('connect_error', reject);
  });
  return client;
}

/** The arguments of the next `event`, or an error when the deadline passes. */
export function next(client: Socket, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no '${event}' within ${DEADLINE_MS} ms`)), DEADLINE_MS);
    client.once(event, (...args: unknown[]) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

/** Sends with an ack and waits for it. */
export function ask(client: Socket, event: string, ...args: unknown[]): Promise<unknown> {
  return client.timeout(DEADLINE_MS).emitWithAck(event, ...args) as Promise<unknown>;
}

/** A promise with its resolver: a signal from a handler to the test, or the other way round. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}
