import { randomBytes } from 'node:crypto';
import { WebSocketGateway } from '@nestjs/websockets';
import type { JoinReply, RoomMeta } from 'nestjs-realtime-protocol';
import { RoomManager, RoomPolicy, type CanJoin } from 'nestjs-realtime';
import type { TestApp } from './app.js';
import { connectedClient, type StockClient } from './inbox.js';
import { lasting } from './lasting.js';
import { mintToken } from './tokens.js';

@RoomPolicy('chat/:id', { history: { size: 400, ttlMs: 60_000 } })
class ChatPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@RoomPolicy('brief/:id', { history: { size: 5, ttlMs: 60_000 } })
class BriefPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@RoomPolicy('plain/:id')
class PlainPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway()
class AnyGateway {}

/** Rooms `chat/:id` keep 400, `brief/:id` 5, `plain/:id` none. */
export const historyProviders = [ChatPolicy, BriefPolicy, PlainPolicy, AnyGateway];

export function connectTo(node: TestApp, user: string, device?: string): Promise<StockClient> {
  const rt = device === undefined ? {} : { rt: { v: 1, device } };
  return connectedClient(node.url, { auth: { token: mintToken(user), ...rt } });
}

export async function join(client: StockClient, request: object): Promise<JoinReply> {
  return (await client.ask('realtime:join', request)) as JoinReply;
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}

/** Numbers, one after the other. */
export async function publish(node: TestApp, room: string, numbers: readonly number[]): Promise<void> {
  for (const n of numbers) await node.app.get(RoomManager).publish(room, 'said', n);
}

/** What a client got of a room live, in its order. */
export function live(client: StockClient, room: string): { data: unknown; meta: RoomMeta }[] {
  return client.inbox.all.flatMap(({ event, args }) => {
    const [data, meta] = args as [unknown, RoomMeta | undefined];
    return event === 'said' && meta?.room === room ? [{ data, meta }] : [];
  });
}

export function missed({ publications }: JoinReply): unknown[] | undefined {
  return publications?.map(({ data }) => data);
}

/** Nothing of the room that was published before is still on its way to this client. */
export async function fence(node: TestApp, client: StockClient, room: string): Promise<void> {
  const marker = randomBytes(4).toString('hex');
  await node.app.get(RoomManager).publish(room, 'fence', marker);
  await client.inbox.next(({ args }) => args[0] === marker);
}

/** A join recovers at most 300, see docs/guides/history-and-recovery.md. */
const MOST_AHEAD = 200;

/**
 * Publishes 1, 2, 3 … until it is stopped, some 200 a second; `stop` resolves with the last number.
 * @param heard The number up to which its slowest listener has heard it. It never gets further ahead than a join can recover,
 * however long the machine stands still. By default nobody says, and it ends at 280.
 */
export function hammerOn(node: TestApp, room: string, heard: () => number = () => 80): { stop(): Promise<number> } {
  let isOver = false;
  const work = (async () => {
    for (let n = 1; ; n += 1) {
      while (!isOver && n > heard() + MOST_AHEAD) await lasting(5);
      if (isOver) return n - 1;
      await publish(node, room, [n]);
      await lasting(5);
    }
  })();
  return {
    stop: () => {
      isOver = true;
      return work;
    },
  };
}
