import { addressKey } from './client-address.js';

/**
 * Transports that have not asked for a namespace yet, by address: an IPv4 address or an IPv6 /64. Each has a place of the node, and
 * any client may open them. Invariant: it holds one entry for each silent transport, and one number for each address of those.
 */
export class SilentTransports {
  /** By what stands for the transport. */
  private readonly addresses = new Map<object, string>();
  private readonly counts = new Map<string, number>();

  /** @param max of one address; 0: nothing is counted */
  constructor(private readonly max: number) {}

  get size(): number {
    return this.addresses.size;
  }

  isFull(address: string): boolean {
    return this.max > 0 && (this.counts.get(addressKey(address)) ?? 0) >= this.max;
  }

  add(transport: object, address: string): void {
    if (this.max === 0) return;
    const key = addressKey(address);
    this.addresses.set(transport, key);
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /** It has spoken, or is gone; may be called again. */
  end(transport: object): void {
    const key = this.addresses.get(transport);
    if (key === undefined) return;
    this.addresses.delete(transport);
    const count = (this.counts.get(key) ?? 1) - 1;
    if (count === 0) this.counts.delete(key);
    else this.counts.set(key, count);
  }
}
