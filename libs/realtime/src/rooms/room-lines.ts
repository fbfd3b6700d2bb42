/**
 * Whose turn it is in each room of one connection: its joins and leaves of one room never overtake each other, and rooms do not
 * wait for one another. Invariant: what has not been entered, or has been left by everybody, holds nothing.
 */
export class RoomLines {
  /** Those who wait behind the one whose turn it is. */
  private readonly lines = new Map<string, (() => void)[]>();
  /** All that wait, in all rooms. */
  waiting = 0;

  /** Rooms in which it is somebody's turn. */
  get busy(): number {
    return this.lines.size;
  }

  isBusy(room: string): boolean {
    return this.lines.has(room);
  }

  /** Resolves when it is the caller's turn; undefined: it is now. Every call needs one `leave`. */
  enter(room: string): Promise<void> | undefined {
    const line = this.lines.get(room);
    if (!line) {
      this.lines.set(room, []);
      return undefined;
    }
    this.waiting += 1;
    return new Promise((resolve) => line.push(resolve));
  }

  leave(room: string): void {
    const next = this.lines.get(room)?.shift();
    if (!next) return void this.lines.delete(room);
    this.waiting -= 1;
    next();
  }

  /** The connection has ended: nobody waits any more. */
  close(): void {
    this.waiting = 0;
    for (const line of this.lines.values()) for (const next of line.splice(0)) next();
  }
}
