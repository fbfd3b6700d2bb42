import type { AddressInfo, Server } from 'node:net';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { settledUsage } from '../harness/usage.js';
import type { ServerCommand, ServerReport } from '../harness/messages.js';

/** Runs the app in this process and tells the bench, over IPC, what it uses. */
export async function serve(module: Type): Promise<void> {
  const app = await NestFactory.create(module, { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  const tell = (report: ServerReport): void => void process.send?.(report);
  process.on('message', (command: ServerCommand) => {
    switch (command) {
      case 'memory':
        return void settledUsage().then((memory) => tell({ kind: 'memory', memory }));
      case 'cpu':
        return tell({ kind: 'cpu', microseconds: cpuMicroseconds() });
      case 'stop':
        return process.disconnect();
      default:
        return command satisfies never;
    }
  });
  process.once('disconnect', () => process.exit());
  const server = app.getHttpServer() as Server;
  tell({ kind: 'listening', port: (server.address() as AddressInfo).port });
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
