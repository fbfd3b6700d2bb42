import { ConnectedSocket, MessageBody, SubscribeMessage } from '@nestjs/websockets';
import type { Socket } from 'socket.io';

/** What every benchmarked gateway does: ten handlers, of which the load calls the first. */
export abstract class TenHandlers {
  @SubscribeMessage('message.send')
  send(@MessageBody() body: { readonly room: string; readonly text: string }): { ok: boolean; length: number } {
    return { ok: true, length: body.text.length };
  }

  @SubscribeMessage('message.edit')
  edit(@MessageBody() body: unknown): unknown {
    return body;
  }

  @SubscribeMessage('message.delete')
  delete(@MessageBody() body: unknown): unknown {
    return body;
  }

  @SubscribeMessage('message.read')
  read(@MessageBody() body: unknown): unknown {
    return body;
  }

  @SubscribeMessage('typing.start')
  startTyping(@MessageBody() body: unknown): unknown {
    return body;
  }

  @SubscribeMessage('typing.stop')
  stopTyping(@MessageBody() body: unknown): unknown {
    return body;
  }

  @SubscribeMessage('channel.enter')
  async enter(@ConnectedSocket() client: Socket, @MessageBody() { room }: { readonly room: string }): Promise<boolean> {
    await client.join(room);
    return true;
  }

  @SubscribeMessage('channel.exit')
  async exit(@ConnectedSocket() client: Socket, @MessageBody() { room }: { readonly room: string }): Promise<boolean> {
    await client.leave(room);
    return true;
  }

  @SubscribeMessage('profile.get')
  profile(@MessageBody() body: unknown): unknown {
    return body;
  }

  @SubscribeMessage('status.set')
  status(@MessageBody() body: unknown): unknown {
    return body;
  }
}
