import type { StreamHandle } from './direct-write.js';

const FIRST_SEATS = 64;

/**
 * What a frame of a broadcast has to know of each connection, side by side and by number: objects of a thousand connections
 * are more than a core's caches hold (decision 0031). A seat is used again when
 * its connection has ended, so who keeps one compares the owner, too.
 */
export class Seats<Owner> {
  /** Why frames of broadcasts must not go around Engine.IO, counted: each reason adds one, and takes it away when it is over. */
  obstacles = new Int32Array(FIRST_SEATS);
  /** The last turn in which there was something to write, and the place in it. */
  turns = new Float64Array(FIRST_SEATS);
  places = new Int32Array(FIRST_SEATS);
  readonly owners: (Owner | undefined)[] = [];
  /** Where small writes go: set while the TCP socket has nothing waiting, and has not been ended. */
  readonly handles: (StreamHandle | undefined)[] = [];
  private readonly left: number[] = [];

  take(owner: Owner): number {
    const seat = this.left.pop() ?? this.owners.length;
    if (seat === this.obstacles.length) this.grow();
    this.obstacles[seat] = this.turns[seat] = this.places[seat] = 0;
    this.owners[seat] = owner;
    this.handles[seat] = undefined;
    return seat;
  }

  leave(seat: number): void {
    this.owners[seat] = this.handles[seat] = undefined;
    this.left.push(seat);
  }

  private grow(): void {
    const { obstacles, turns, places } = this;
    const size = 2 * obstacles.length;
    this.obstacles = new Int32Array(size);
    this.turns = new Float64Array(size);
    this.places = new Int32Array(size);
    this.obstacles.set(obstacles);
    this.turns.set(turns);
    this.places.set(places);
  }
}
