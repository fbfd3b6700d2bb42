import type { INestApplication } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';

/** The adapter of Nest's documentation, with a way to end its clients. */
export class RedisIoAdapter extends IoAdapter {
  private readonly clients: { close(): Promise<void> }[] = [];
  private adapterConstructor: ReturnType<typeof createAdapter> | undefined;

  constructor(app: INestApplication) {
    super(app);
  }

  async connectToRedis(url: string): Promise<void> {
    const pubClient = createClient({ url });
    const subClient = pubClient.duplicate();
    for (const client of [pubClient, subClient]) client.on('error', () => undefined);
    await Promise.all([pubClient.connect(), subClient.connect()]);
    this.clients.push(pubClient, subClient);
    this.adapterConstructor = createAdapter(pubClient, subClient);
  }

  override createIOServer(...args: Parameters<IoAdapter['createIOServer']>): ReturnType<IoAdapter['createIOServer']> {
    const server = super.createIOServer(...args);
    if (this.adapterConstructor) server.adapter(this.adapterConstructor);
    return server;
  }

  override async dispose(): Promise<void> {
    await super.dispose();
    await Promise.all(this.clients.splice(0).map((client) => client.close()));
  }
}
