import { Module } from '@nestjs/common';
import { PassportModule } from '@nestjs/passport';
import { ChatGateway } from './chat.gateway.js';
import { HandshakeStrategy } from './handshake-auth.js';
import { SessionController, sessionProvider } from './session.js';

@Module({
  imports: [PassportModule],
  controllers: [SessionController],
  providers: [ChatGateway, HandshakeStrategy, sessionProvider],
})
export class ChatModule {}
