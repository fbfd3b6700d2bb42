import { Global, Module } from '@nestjs/common';
import { DemoConfig, readConfig } from './config.js';

@Global()
@Module({
  providers: [{ provide: DemoConfig, useFactory: () => readConfig(process.env) }],
  exports: [DemoConfig],
})
export class ConfigModule {}
