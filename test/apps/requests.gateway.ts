import type { OnApplicationShutdown } from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import { RoomManager, getRequest, type RealtimeOptions } from 'nestjs-realtime';
import { createClient } from 'redis';

/** Where in the life of a request the process ends, by SIGKILL. */
export const KILL_POINTS = ['claim', 'effect', 'record', 'ack'] as const;
export type KillPoint = (typeof KILL_POINTS)[number];

export interface ApplyRequest {
  /** Where the test reads what happened. */
  readonly ledger: string;
  readonly room: string;
  readonly n: number;
  /** Requests of one lane come one after the other. No spaces. */
  readonly lane?: string | undefined;
  readonly kill?: KillPoint | undefined;
}

export interface ApplyAnswer extends ApplyRequest {
  readonly id: string;
  readonly publication: string;
}

/** The part of a Socket.IO socket that sends; `type` 3 is an ack (socket.io-protocol). */
interface PacketSocket {
  packet(packet: { readonly type: number; readonly data?: readonly unknown[] }, ...rest: unknown[]): void;
}

const ACK = 3;

/**
 * Requests whose effects are counted outside the process, in Redis: `<ledger>:runs` holds `id attempt n lane` of every run,
 * `<ledger>:hits` how often each kill point was reached, `<ledger>:kills` the `point node time` of each. A request kills
 * once: who comes second finds its mark.
 */
@WebSocketGateway({ namespace: 'requests' })
export class RequestsGateway implements OnGatewayConnection, OnApplicationShutdown {
  private connecting: ReturnType<RequestsGateway['connect']> | undefined;

  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('apply')
  async apply(@MessageBody() body: ApplyRequest): Promise<ApplyAnswer> {
    const request = getRequest();
    if (!request) throw new Error('this is no request');
    await this.killAt('claim', body, request.id);
    const redis = await this.redis();
    const { n, lane } = body;
    await redis.rPush(`${body.ledger}:runs`, `${request.id} ${request.attempt} ${n} ${lane ?? ''}`);
    const { id } = await this.rooms.publish(body.room, 'applied', { request: request.id, n, lane });
    await this.killAt('effect', body, request.id);
    return { ...body, id: request.id, publication: id };
  }

  handleConnection(socket: PacketSocket): void {
    const send = socket.packet.bind(socket);
    socket.packet = (packet, ...rest) => {
      const [answer] = (packet.type === ACK ? packet.data : undefined) ?? [];
      if (!isApplyAnswer(answer)) return send(packet, ...rest);
      void this.killAt('record', answer, answer.id).then(() => {
        send(packet, ...rest);
        return this.killAt('ack', answer, answer.id);
      });
    };
  }

  async onApplicationShutdown(): Promise<void> {
    (await this.connecting)?.destroy();
  }

  private async killAt(point: KillPoint, body: ApplyRequest, id: string): Promise<void> {
    if (body.kill !== point) return;
    const redis = await this.redis();
    const isFirst = await redis.set(`${body.ledger}:killed:${id}`, point, { condition: 'NX' });
    if (isFirst === null) return;
    await redis.rPush(`${body.ledger}:kills`, `${point} ${nodeOptions().cluster?.nodeId} ${Date.now()}`);
    await redis.hIncrBy(`${body.ledger}:hits`, point, 1);
    process.kill(process.pid, 'SIGKILL');
    await new Promise(() => undefined);
  }

  private redis(): ReturnType<RequestsGateway['connect']> {
    return (this.connecting ??= this.connect());
  }

  private async connect() {
    const { redis } = nodeOptions();
    const url = redis && 'url' in redis ? redis.url : undefined;
    if (url === undefined) throw new Error('requests need a Redis');
    return createClient({ url }).connect();
  }
}

function nodeOptions(): RealtimeOptions {
  return JSON.parse(process.env['REALTIME_TEST_NODE'] ?? '{}') as RealtimeOptions;
}

function isApplyAnswer(value: unknown): value is ApplyAnswer {
  return typeof value === 'object' && value !== null && 'ledger' in value && 'publication' in value;
}
