import type { AddressInfo, Server } from 'node:net';
import type { INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { settledUsage } from '../harness/usage.js';
import type { ServerCommand, ServerReport } from '../harness/messages.js';
import { startProfile, stopProfile } from './profiling.js';
import { publishAtRate, publishNumbered, type Sends } from './publishing.js';

export interface NestOptions {
  /** Before the app listens. */
  readonly before?: (app: INestApplication) => Promise<void>;
  readonly sends?: (app: INestApplication) => Sends;
}

/** Runs a Nest app in this process. */
export async function serveNest(module: Type, { before, sends }: NestOptions = {}): Promise<void> {
  const app = await NestFactory.create(module, { logger: ['error', 'warn'] });
  await before?.(app);
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  serve(portOf(app.getHttpServer() as Server), sends?.(app) ?? {});
}

/** Tells the bench, over IPC, what this process uses, and sends what it asks for. */
export function serve(port: number, sends: Sends): void {
  const tell = (report: ServerReport): void => void process.send?.(report);
  process.on('message', (command: ServerCommand) => {
    answer(command, sends)
      .then(tell)
      .catch((error: unknown) => {
        console.error(error);
        process.exit(1);
      });
  });
  process.once('disconnect', () => process.exit());
  tell({ kind: 'listening', port });
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function answer(command: ServerCommand, sends: Sends): Promise<ServerReport> {
  switch (command.kind) {
    case 'memory':
      return { kind: 'memory', memory: await settledUsage() };
    case 'cpu': {
      const { user, system } = process.cpuUsage();
      return { kind: 'cpu', microseconds: user + system };
    }
    case 'start-profile':
      await startProfile();
      return { kind: 'profiled' };
    case 'stop-profile':
      await stopProfile(command.path);
      return { kind: 'profiled' };
    case 'publish':
      return publishAtRate(sends, command);
    case 'publish-numbered':
      return publishNumbered(sends, command);
    default:
      return command satisfies never;
  }
}
