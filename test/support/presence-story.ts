import type { JoinReply, PresenceDiff, PresenceUser } from 'nestjs-realtime-protocol';
import { GENEROUS_MS } from './eventually.js';
import type { StockClient } from './inbox.js';

/** One client's knowledge of who is in a room: the join's reply and every diff since, as an app would keep it. */
export class PresenceStory {
  readonly diffs: PresenceDiff[] = [];
  /** Diffs that did not begin where the last thing told ended. */
  readonly holes: string[] = [];
  private readonly known = new Map<string, PresenceUser>();
  private version = 0;

  private constructor(
    readonly client: StockClient,
    readonly room: string,
  ) {}

  /** Joins the room. Rejects with the refusal. */
  static join(client: StockClient, room: string): Promise<PresenceStory> {
    const story = new PresenceStory(client, room);
    return new Promise((resolve, reject) => {
      client.socket.timeout(GENEROUS_MS).emit('realtime:join', { room }, (failure: Error | null, reply: unknown) => {
        if (failure) return reject(failure);
        const refusal = (reply as { error?: { code: string } }).error;
        if (refusal) return reject(new Error(`${room} refused: ${refusal.code}`));
        story.begin(reply as JoinReply);
        resolve(story);
      });
    });
  }

  get users(): string[] {
    return [...this.known.keys()].sort();
  }

  devicesOf(userId: string): number {
    return this.known.get(userId)?.devices.length ?? 0;
  }

  /** How often the user was announced so, from the diff number `since` on. */
  joins(userId: string, since = 0): number {
    return this.diffs.slice(since).filter(({ join = [] }) => join.some(({ id }) => id === userId)).length;
  }

  leaves(userId: string, since = 0): number {
    return this.diffs.slice(since).filter(({ leave = [] }) => leave.includes(userId)).length;
  }

  // Not awaited in between: a diff may follow the reply in the same turn.
  private begin({ presence }: JoinReply): void {
    if (presence?.users === undefined) throw new Error(`${this.room} has no presence list`);
    for (const user of presence.users) this.known.set(user.id, user);
    this.version = presence.version;
    this.client.socket.on('realtime:presence', (diff: PresenceDiff) => diff.room === this.room && this.apply(diff));
  }

  private apply(diff: PresenceDiff): void {
    this.diffs.push(diff);
    if (diff.from !== this.version) this.holes.push(`${this.version} is followed by ${diff.from}-${diff.to}`);
    this.version = diff.to;
    for (const user of [...(diff.join ?? []), ...(diff.update ?? [])]) this.known.set(user.id, user);
    for (const id of diff.leave ?? []) this.known.delete(id);
  }
}
