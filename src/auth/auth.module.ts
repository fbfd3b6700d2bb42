import { Module } from '@nestjs/common';
import { JwtModule } from '@nestjs/jwt';
import { DemoConfig } from '../config.js';
import { AuthController } from './auth.controller.js';

@Module({
  imports: [
    JwtModule.registerAsync({
      inject: [DemoConfig],
      useFactory: (config: DemoConfig) => ({ secret: config.jwtSecret, signOptions: { algorithm: 'HS256' } }),
    }),
  ],
  controllers: [AuthController],
  exports: [JwtModule],
})
export class AuthModule {}
