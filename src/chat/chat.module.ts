import { Module } from '@nestjs/common';
import { ChatGateway } from './chat.gateway.js';
import { ChatRoomPolicy } from './chat-room.policy.js';

@Module({ providers: [ChatGateway, ChatRoomPolicy] })
export class ChatModule {}
