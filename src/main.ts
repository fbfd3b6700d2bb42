import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { DemoConfig } from './config.js';
import { serveWeb } from './web.js';

const app = await NestFactory.create<NestExpressApplication>(AppModule);
app.enableShutdownHooks();
serveWeb(app);

const config = app.get(DemoConfig);
await app.listen(config.port);

const logger = new Logger('Demo');
if (config.usesDevelopmentSecret) logger.warn('JWT_SECRET is not set: using the published development secret');
logger.log(`Open ${(await app.getUrl()).replace('[::1]', 'localhost')} in two windows: running on ${config.engine}`);
