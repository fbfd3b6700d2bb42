import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { DemoConfig } from './config.js';
import { serveWeb } from './web.js';

/** The demo, ready to listen. */
export async function createDemo(): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule);
  app.enableShutdownHooks();
  serveWeb(app);
  if (app.get(DemoConfig).isDevelopment)
    new Logger('Demo').warn('JWT_SECRET is not set: anybody gets a token for any name, so only this machine is served');
  return app;
}
