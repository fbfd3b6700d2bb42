import type { Position } from 'nestjs-realtime-protocol';
import { COMMANDS_CHANNEL } from '../cluster/channels.js';
import type { ClusterBus } from '../cluster/cluster-bus.js';
import {
  ttlOf,
  type ClusterCommand,
  type CommandLog,
  type CommandLogOptions,
  type LoggedCommand,
} from '../cluster/command-log.js';
import { systemClock, type Clock } from '../core/clock.js';
import { randomId } from '../core/ids.js';

/** The command log of one process: lives and ends with it, so its epoch never changes. Publishes on the given bus. */
export class MemoryCommandLog implements CommandLog {
  readonly channel = COMMANDS_CHANNEL;
  readonly #bus: ClusterBus;
  readonly #options: CommandLogOptions;
  readonly #clock: Clock;
  readonly #epoch = randomId(9);
  #offset = 0;
  #entries: { logged: LoggedCommand; goesAt: number }[] = [];

  constructor(bus: ClusterBus, options: CommandLogOptions, clock: Clock = systemClock) {
    this.#bus = bus;
    this.#options = options;
    this.#clock = clock;
  }

  get top(): Position {
    return { epoch: this.#epoch, offset: this.#offset };
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  append(command: ClusterCommand): Promise<Position> {
    this.#trim();
    this.#offset += 1;
    const logged: LoggedCommand = { id: randomId(), position: this.top, command };
    const ttlMs = ttlOf(command, this.#options);
    this.#entries.push({ logged, goesAt: this.#clock.now() + ttlMs });
    // Logged is done: who missed the message reads the log.
    this.#bus.publish(this.channel, JSON.stringify(logged)).catch(() => undefined);
    return Promise.resolve(logged.position);
  }

  read(after?: Position): Promise<{ commands: LoggedCommand[]; top: Position }> {
    this.#trim();
    const from = after?.epoch === this.#epoch ? after.offset : -1;
    const commands = this.#entries.map(({ logged }) => logged).filter(({ position }) => position.offset > from);
    return Promise.resolve({ commands, top: this.top });
  }

  #trim(): void {
    const now = this.#clock.now();
    this.#entries = this.#entries.filter(({ goesAt }) => goesAt > now);
  }
}
