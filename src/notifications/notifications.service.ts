import { Injectable } from '@nestjs/common';
import { RealtimeService } from 'nestjs-realtime';

@Injectable()
export class NotificationsService {
  constructor(private readonly realtime: RealtimeService) {}

  /** Reaches every tab of the user, whatever node it is on. */
  async notify(userId: string, text: string): Promise<{ id: string }> {
    const { id } = await this.realtime.toUser(userId).publish('notification', { text, at: Date.now() });
    return { id };
  }
}
