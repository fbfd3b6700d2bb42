import { randomBytes } from 'node:crypto';
import type { StockClient } from '../support/inbox.js';
import type { Tab } from './tabs.js';

interface Tick {
  readonly seq: number;
  readonly atMs: number;
}

/** What a tab hears of its own node's `tick`s: the local delivery that nothing may interrupt. */
export class Ticks {
  readonly own: Tick[] = [];

  constructor({ node, client }: Tab) {
    client.socket.on('tick', (data: { node: string; seq: number }) => {
      if (data.node === node.id) this.own.push({ seq: data.seq, atMs: performance.now() });
    });
  }

  /** Numbers that were left out, came twice or in another order. */
  missing(): string[] {
    return this.own
      .slice(1)
      .map(({ seq }, index) => [this.own[index]!.seq, seq] as const)
      .filter(([before, after]) => after !== before + 1)
      .map(([before, after]) => `${before} is followed by ${after}`);
  }

  longestPauseMs(): number {
    return Math.max(...this.own.slice(1).map(({ atMs }, index) => atMs - this.own[index]!.atMs));
  }
}

/**
 * Has its node emit to a room that the client is in, and answer: whether the client heard it before the answer. Both come
 * over one connection, so this says without a clock that local delivery waits for nobody else.
 */
export async function echoesBeforeAnswer({ socket, inbox }: StockClient, room: string): Promise<boolean> {
  const id = randomBytes(6).toString('hex');
  socket.emit('echo', { room, id }, () => inbox.push(`answer ${id}`));
  await inbox.next(`answer ${id}`);
  const heardAt = inbox.all.findIndex(({ event, args }) => event === 'echo' && (args[0] as { id: string }).id === id);
  return heardAt !== -1 && heardAt < inbox.all.findIndex(({ event }) => event === `answer ${id}`);
}
