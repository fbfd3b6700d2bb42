import { IsNotEmpty, IsOptional, IsString, MaxLength } from 'class-validator';
import { ChatRef, SendMessage } from '../chat/chat.dto.js';

export class Announce extends SendMessage {}

export class Kick extends ChatRef {
  @IsString()
  @IsNotEmpty()
  @MaxLength(64)
  user!: string;

  @IsOptional()
  @IsString()
  @MaxLength(200)
  reason?: string;
}
