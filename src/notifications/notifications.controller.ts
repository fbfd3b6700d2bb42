import { Body, Controller, HttpCode, Param, Post, UseGuards } from '@nestjs/common';
import { IsNotEmpty, IsString, MaxLength } from 'class-validator';
import { BearerGuard } from '../auth/bearer.guard.js';
import { NotificationsService } from './notifications.service.js';

class Notification {
  @IsString()
  @IsNotEmpty()
  @MaxLength(500)
  text!: string;
}

/** Plain HTTP in, realtime out. */
@Controller('notifications')
@UseGuards(BearerGuard)
export class NotificationsController {
  constructor(private readonly notifications: NotificationsService) {}

  @Post(':userId')
  @HttpCode(202)
  notify(@Param('userId') userId: string, @Body() { text }: Notification): Promise<{ id: string }> {
    return this.notifications.notify(userId, text);
  }
}
