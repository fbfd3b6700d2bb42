import { nextTurn } from '../../support/next-turn.js';
import type { Server } from 'socket.io';
import { eventually } from '../../support/eventually.js';
import { engineOf, type Connected, type WireApp } from './wire.gateway.js';

/** Volatile messages behind others of the same turn: stock leaves them out when an earlier one is still being written. */
const LATE = 'late';
const FENCE = 'the end';

export interface Told {
  /** Of each client: all frames that it got, header and payload, without those that may be left out. */
  readonly frames: readonly (readonly Buffer[])[];
  /** Of each client: how many volatile ones behind others it got. */
  readonly late: readonly number[];
  /** Clients whose transport was terminated. */
  readonly terminated: ReadonlySet<number>;
  readonly operations: Readonly<Record<string, number>>;
}

/**
 * Random turns of a server with many clients: unicasts, broadcasts to all, to rooms and except rooms, acks, volatile, binary,
 * large, disconnects and terminations, in any order within a turn. The same `random` tells the same story.
 */
export class Story {
  private readonly terminated = new Set<number>();
  private readonly gone = new Set<number>();
  private readonly operations: Record<string, number> = {};
  private readonly server: Server;
  private isFirst = true;
  private count = 0;

  constructor(
    private readonly app: WireApp,
    private readonly clients: readonly Connected[],
    private readonly random: () => number,
  ) {
    this.server = app.server;
  }

  async tell(turns: number): Promise<Told> {
    for (let turn = 0; turn < turns; turn += 1) {
      await this.ask();
      await this.turn();
    }
    this.server.emit(FENCE);
    for (const [index, { wire }] of this.clients.entries()) {
      if (!this.gone.has(index)) await wire.got((text) => text === `42["${FENCE}"]`);
      else if (this.terminated.has(index)) await wire.ended();
    }
    const isLate = (frame: Buffer): boolean => frame.includes(`42["${LATE}"`);
    return {
      frames: this.clients.map(({ wire }) => wire.frames.filter((frame) => !isLate(frame))),
      late: this.clients.map(({ wire }) => wire.frames.filter(isLate).length),
      ...{ terminated: this.terminated, operations: this.operations },
    };
  }

  /** Some clients ask something that will be answered in the turn. */
  private async ask(): Promise<void> {
    const asking = Array.from({ length: this.below(4) }, () => this.someone()).filter((one) => one !== undefined);
    for (const client of asking) client.wire.send(`42${(this.count += 1)}["ask",{"id":"${this.count}"}]`);
    await eventually(() => expect(this.app.gateway.asked).toHaveLength(asking.length));
    this.app.gateway.asked.sort((a, b) => Number(a.id) - Number(b.id));
  }

  private async turn(): Promise<void> {
    this.isFirst = true;
    const steps = 1 + this.below(12);
    for (let step = 0; step < steps; step += 1) {
      this.step();
      this.isFirst = false;
      if (this.below(4) === 0) await Promise.resolve();
    }
    for (const { ack } of this.app.gateway.asked.splice(0)) ack(this.count);
    await Promise.resolve();
    // The next turn starts when all is written, so that what is volatile and comes first is left out for nobody.
    await nextTurn();
    await eventually(() => {
      for (const [index, { socket }] of this.clients.entries())
        if (!this.gone.has(index)) expect(engineOf(socket).transport.writable).toBe(true);
    });
  }

  private step(): void {
    const names = Object.keys(this.moves) as (keyof Story['moves'])[];
    const rare = this.below(40);
    const name = rare < 3 ? (['disconnect', 'close', 'terminate'] as const)[rare] : names[this.below(names.length - 3)];
    if (!name) return;
    this.operations[name] = (this.operations[name] ?? 0) + 1;
    this.moves[name]((this.count += 1));
  }

  private readonly moves = {
    unicast: (count: number) => this.someone()?.socket.emit('unicast', count, this.text()),
    unicastBinary: (count: number) => this.someone()?.socket.emit('unicast', count, this.bytes(), this.bytes()),
    toAll: (count: number) => void this.server.emit('to all', count, this.text()),
    toRoom: (count: number) => void this.server.to(this.half()).emit('to room', count),
    toRooms: (count: number) => void this.server.to([this.half(), this.half()]).emit('to rooms', count),
    except: (count: number) => void this.server.to('room').except(this.half()).emit('except', count, this.text()),
    fromOne: (count: number) => this.someone()?.socket.broadcast.emit('from one', count),
    binary: (count: number) =>
      void this.server.to(this.half()).emit('binary', count, this.bytes(), this.text(), this.bytes()),
    large: (count: number) => void this.server.emit('large', count, 'x'.repeat(this.below(70_000))),
    volatile: (count: number) => void this.server.volatile.to(this.half()).emit(this.isFirst ? 'first' : LATE, count),
    volatileUnicast: (count: number) => this.someone()?.socket.volatile.emit(this.isFirst ? 'first' : LATE, count),
    answer: (count: number) => this.app.gateway.asked.shift()?.ack({ count, text: this.text() }),
    ping: () => {
      const client = this.someone();
      if (client) engineOf(client.socket).sendPacket('ping');
    },
    disconnect: () => this.leaving()?.socket.disconnect(),
    close: () => this.leaving()?.socket.disconnect(true),
    terminate: () => {
      const client = this.leaving();
      if (!client) return;
      this.terminated.add(this.clients.indexOf(client));
      engineOf(client.socket).transport.socket.terminate();
    },
  };

  private someone(): Connected | undefined {
    const index = this.below(this.clients.length);
    return this.gone.has(index) ? undefined : this.clients[index];
  }

  /** At least half of the clients stay. */
  private leaving(): Connected | undefined {
    const client = this.gone.size < this.clients.length / 2 ? this.someone() : undefined;
    if (client) this.gone.add(this.clients.indexOf(client));
    return client;
  }

  private half(): string {
    return `half/${this.below(2)}`;
  }

  private text(): string {
    return 'ä'.repeat(this.below(300));
  }

  private bytes(): Buffer {
    return Buffer.from(Array.from({ length: this.below(300) }, () => this.below(256)));
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }
}
