/** A node on the hub. */
export interface HubMember {
  /** @param number counts all messages of the hub, from 1 */
  deliver(channel: string, payload: string, number: number): void;
}

/**
 * The wire between the memory buses of one process: each bus stands for a node. Refuses to lose or reorder anything by
 * itself; a test says who is cut off. Invariant: delivery is asynchronous and in publishing order, also to the publisher.
 */
export class MemoryHub {
  readonly #buses = new Set<HubMember>();
  readonly #queue: { channel: string; payload: string; number: number }[] = [];
  #isDraining = false;
  #sent = 0;

  /** Number of the newest message. */
  get sent(): number {
    return this.#sent;
  }

  attach(bus: HubMember): void {
    this.#buses.add(bus);
  }

  detach(bus: HubMember): void {
    this.#buses.delete(bus);
  }

  send(channel: string, payload: string): void {
    this.#queue.push({ channel, payload, number: (this.#sent += 1) });
    if (this.#isDraining) return;
    this.#isDraining = true;
    // A macrotask, as a socket would be: nobody may rely on a message coming back in the same turn.
    setImmediate(() => this.#drain());
  }

  #drain(): void {
    this.#isDraining = false;
    for (const { channel, payload, number } of this.#queue.splice(0)) {
      for (const bus of [...this.#buses]) bus.deliver(channel, payload, number);
    }
  }
}
