/**
 * One node of a test cluster, as a process of its own: `node dist/test-apps/node.js` with the module's options as JSON in
 * `REALTIME_TEST_NODE`. Commands and answers go over the parent's IPC channel (`operations.ts`), and so does every
 * `PresenceService.changes` event.
 */
import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessageBody, SubscribeMessage, WebSocketGateway, type OnGatewayDisconnect } from '@nestjs/websockets';
import {
  CurrentPrincipal,
  PresenceService,
  RealtimeModule,
  RoomManager,
  RoomPolicy,
  type CanJoin,
  type Principal,
  type RealtimeOptions,
} from 'nestjs-realtime';
import { RealtimeHealthModule } from 'nestjs-realtime/health';
import { BriefRoomPolicy, ExactRoomPolicy } from './history.policies.js';
import { RequestsGateway } from './requests.gateway.js';
import { createOperations, type NodeMessage, type NodeRequest } from './operations.js';

@RoomPolicy('chat/:id', { presence: true })
class ChatRoomPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway implements OnGatewayDisconnect {
  constructor(private readonly rooms: RoomManager) {}

  handleDisconnect({ id }: { readonly id: string }): void {
    tell({ kind: 'ended', connectionId: id, at: Date.now() });
  }

  /** Emits `echo { id }` to the room before it answers: what is delivered locally comes before the answer. */
  @SubscribeMessage('echo')
  echo(@MessageBody() { room, id }: { room: string; id: string }): { id: string } {
    this.rooms.emit(room, 'echo', { id });
    return { id };
  }

  @SubscribeMessage('message.send')
  send(@MessageBody() body: { room: string; text: string }, @CurrentPrincipal() me: Principal) {
    return this.rooms.publish(body.room, 'message', { from: me.id, text: body.text });
  }
}

function tell(message: NodeMessage): void {
  process.send?.(message);
}

async function main(): Promise<void> {
  const options = JSON.parse(process.env['REALTIME_TEST_NODE'] ?? '{}') as RealtimeOptions;

  @Module({
    // A busy test machine must not look like a fault of Redis: what lag does to readiness is judged in readiness.spec.ts.
    imports: [RealtimeModule.forRoot(options), RealtimeHealthModule.register({ maxEventLoopLagMs: 0 })],
    providers: [ChatGateway, ChatRoomPolicy, ExactRoomPolicy, BriefRoomPolicy, RequestsGateway],
  })
  class NodeModule {}

  const app = await NestFactory.create(NodeModule, { logger: ['warn', 'error', 'fatal'] });
  app.enableShutdownHooks();
  app
    .get(PresenceService)
    .changes.subscribe(({ type, room, user }) => tell({ kind: 'change', type, room, userId: user.id, at: Date.now() }));
  const operations = createOperations(app);
  // The test is gone, however it ended.
  process.once('disconnect', () => process.exit(0));
  process.on('message', (request: NodeRequest) => void answer(operations, request));
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  tell({ kind: 'listening', url: `http://127.0.0.1:${port}` });
}

async function answer(operations: ReturnType<typeof createOperations>, request: NodeRequest): Promise<void> {
  const { id, operation, args } = request;
  try {
    const run = operations[operation] as (...args: readonly unknown[]) => unknown;
    tell({ kind: 'answer', id, value: await run(...args) });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    tell({ kind: 'answer', id, error: { code, message } });
  }
}

await main();
