import { eventually } from '../../support/eventually.js';
import type { TestRedisClient } from '../../support/redis.js';
import type { Named } from './member.js';
import type { RoomLogSeen } from './room-history.js';

const EVERY_MS = 100;

/**
 * Reads the logs of rooms in Redis itself, all the time: what a log trims it has been seen before. Outages are waited for.
 */
export class LogReader implements Disposable {
  private readonly entries: Map<string, RoomLogSeen['entries'][number][]>;
  private readonly timer: NodeJS.Timeout;
  private reading: Promise<void> | undefined;
  private missed: string | undefined;

  constructor(
    private readonly redis: TestRedisClient,
    private readonly keyPrefix: string,
    rooms: readonly string[],
  ) {
    this.entries = new Map(rooms.map((room) => [room, []]));
    this.timer = setInterval(() => void this.read().catch(() => undefined), EVERY_MS);
  }

  /** How everything stands now. */
  async finish(): Promise<ReadonlyMap<string, RoomLogSeen>> {
    clearInterval(this.timer);
    await this.reading?.catch(() => undefined);
    await eventually(() => this.read());
    if (this.missed) throw new Error(`the reader of the logs was too slow: ${this.missed}`);
    const rooms = [...this.entries];
    const logs = await Promise.all(
      rooms.map(async ([room, entries]) => [room, { ...(await this.state(room)), entries }] as const),
    );
    return new Map(logs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }

  private read(): Promise<void> {
    this.reading ??= Promise.all([...this.entries.keys()].map((room) => this.readRoom(room)))
      .then(() => undefined)
      .finally(() => (this.reading = undefined));
    return this.reading;
  }

  private async readRoom(room: string): Promise<void> {
    const entries = this.entries.get(room) ?? [];
    const last = entries.at(-1)?.offset ?? 0;
    const key = `${this.keyPrefix}{${room}}:log`;
    const found = ((await this.redis.xRange(key, `(${last}-0`, '+')) ?? []).map(({ id, message }) => ({
      offset: Number(id.split('-')[0]),
      name: nameIn(message),
      at: Number(message['t']),
    }));
    const [oldest] = (await this.redis.xRange(key, '-', '+', { COUNT: 1 })) ?? [];
    if (oldest && Number(oldest.id.split('-')[0]) > last + 1 && found.length > 0) this.missed = `${room} after ${last}`;
    entries.push(...found);
  }

  private async state(room: string): Promise<Omit<RoomLogSeen, 'entries'>> {
    const meta = await this.redis.hGetAll(`${this.keyPrefix}{${room}}:logm`);
    const ended = Object.entries(meta)
      .filter(([field]) => /^f\d+$/.test(field))
      .map(([, fork]) => fork.split(' '));
    const forks = Object.fromEntries(ended.map(([offset, epoch = '']) => [epoch, Number(offset)]));
    return { epoch: meta['epoch'] ?? '', offset: Number(meta['offset'] ?? 0), forks };
  }
}

function nameIn(fields: Readonly<Record<string, string>>): string {
  const { m: text = '' } = fields;
  const [, data] = JSON.parse(`[${text.slice(text.indexOf('\n') + 1)}}]`) as [string, Named];
  return data.name;
}
