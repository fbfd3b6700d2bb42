import type { Incarnation } from '../core/ids.js';
import { indexKey } from './key-names.js';
import type { ScriptRunner } from './script-runner.js';

interface IndexedRoom {
  isAdded: Promise<unknown>;
  /** The room's epoch at the last entry: another one means that Redis lost the room, and perhaps this index. */
  epoch: string | undefined;
  /** Entries on their way into the room: while there are any, it stays in the index. */
  entering: number;
}

/** After the first sweep the index of a dead incarnation is only needed for the second, 60 s later, which removes it if nobody dies. */
const SWEPT_TTL_SEC = 600;
const PAGE = '100';

/**
 * In which rooms an incarnation has entries: what a sweep goes through. Invariant: a room is in the index before the first
 * entry is in the room, and leaves it only when the store has said that no entry is left.
 */
export class PresenceIndex {
  private readonly incarnations = new Map<Incarnation, Map<string, IndexedRoom>>();

  constructor(private readonly redis: ScriptRunner) {}

  /** Puts the room into the index, then runs `enter`, which answers with the room's epoch. `isNew`: also if it is there. */
  async entering<Result extends { epoch?: string | undefined }>(
    { incarnation, room, isNew }: { incarnation: Incarnation; room: string; isNew: boolean },
    enter: () => Promise<Result>,
  ): Promise<Result> {
    const indexed = this.add(incarnation, room, isNew);
    indexed.entering += 1;
    try {
      await indexed.isAdded;
      const result = await enter();
      const isOther = result.epoch !== undefined && result.epoch !== indexed.epoch;
      if (isOther && indexed.epoch !== undefined) await this.send('SADD', incarnation, room);
      indexed.epoch = result.epoch ?? indexed.epoch;
      return result;
    } finally {
      indexed.entering -= 1;
    }
  }

  /** The store has no entry of the incarnation in the room any more. */
  left(incarnation: Incarnation, room: string): void {
    const rooms = this.incarnations.get(incarnation);
    if (!rooms || (rooms.get(room)?.entering ?? 0) > 0) return;
    if (!rooms.delete(room)) return;
    if (rooms.size === 0) this.incarnations.delete(incarnation);
    // A room that stays in the index costs a sweep one call; and who enters now adds it again behind this command.
    this.send('SREM', incarnation, room).catch(() => undefined);
  }

  /** Rooms of a dead incarnation; repeated when the index changes meanwhile. */
  async *rooms(incarnation: Incarnation): AsyncIterable<string[]> {
    await this.redis.command('EXPIRE', this.key(incarnation), String(SWEPT_TTL_SEC));
    let cursor = '0';
    do {
      const reply = await this.redis.command('SSCAN', this.key(incarnation), cursor, 'COUNT', PAGE);
      const [next, rooms] = reply as [string, string[]];
      yield rooms;
      cursor = String(next);
    } while (cursor !== '0');
  }

  /** No sweep will ask for its rooms again. */
  async forget(incarnation: Incarnation): Promise<void> {
    await this.redis.command('UNLINK', this.key(incarnation));
  }

  private add(incarnation: Incarnation, room: string, isNew: boolean): IndexedRoom {
    let rooms = this.incarnations.get(incarnation);
    if (!rooms) {
      // The node has a new life. What the old one left in its index is for those who sweep it.
      this.incarnations.clear();
      this.incarnations.set(incarnation, (rooms = new Map<string, IndexedRoom>()));
    }
    const known = rooms.get(room);
    if (known && !isNew) return known;
    const isAdded = this.send('SADD', incarnation, room);
    const indexed = known ?? { isAdded, epoch: undefined, entering: 0 };
    indexed.isAdded = isAdded;
    rooms.set(room, indexed);
    isAdded.catch(() => {
      if (rooms.get(room) === indexed && indexed.isAdded === isAdded) rooms.delete(room);
    });
    return indexed;
  }

  private send(command: 'SADD' | 'SREM', incarnation: Incarnation, room: string): Promise<unknown> {
    return this.redis.command(command, this.key(incarnation), room);
  }

  private key(incarnation: Incarnation): string {
    return this.redis.keyPrefix + indexKey(incarnation);
  }
}
