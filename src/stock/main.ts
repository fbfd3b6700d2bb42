// The documentation's recipe, for comparison: `npm run demo:cluster -- --stock` runs three of these and kills one.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AuthModule } from '../auth/auth.module.js';
import { ConfigModule } from '../config.module.js';
import { DemoConfig } from '../config.js';
import { NodeModule } from '../node/node.module.js';
import { RedisIoAdapter } from './redis-io.adapter.js';
import { StockChatGateway } from './stock-chat.gateway.js';

@Module({ imports: [ConfigModule, AuthModule, NodeModule], providers: [StockChatGateway] })
class StockModule {}

const app = await NestFactory.create(StockModule);
const config = app.get(DemoConfig);
const adapter = new RedisIoAdapter(app);
if (config.redisUrl !== undefined) await adapter.connectToRedis(config.redisUrl);
app.useWebSocketAdapter(adapter);
await (config.host === undefined ? app.listen(config.port) : app.listen(config.port, config.host));
