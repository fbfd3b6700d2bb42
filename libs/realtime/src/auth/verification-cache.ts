import { hash } from 'node:crypto';
import type { VerificationKey } from './jwt-keys.js';

export type Claims = Readonly<Record<string, unknown>>;

interface Verification {
  readonly claims: Claims;
  readonly key: VerificationKey;
  readonly expiresAtMs: number;
}

/**
 * Remembers that a token's signature was good, by the SHA-256 of the token, so that the same token in a second
 * namespace or after a reconnect costs a hash. The least recently used entry goes first. Says nothing about who the
 * token's user is now: that is asked each time.
 */
export class VerificationCache {
  private readonly entries = new Map<string, Verification>();

  /** @param maxEntries 0 turns the cache off. */
  constructor(private readonly maxEntries: number) {}

  get size(): number {
    return this.entries.size;
  }

  /** The claims, if the token is not expired at `nowMs` (Unix) and `isAlive` says so of its key; else the entry goes. */
  get(token: string, nowMs: number, isAlive: (key: VerificationKey) => boolean): Claims | undefined {
    if (this.entries.size === 0) return undefined;
    const hash = hashOf(token);
    const entry = this.entries.get(hash);
    if (entry === undefined) return undefined;
    this.entries.delete(hash);
    if (nowMs >= entry.expiresAtMs || !isAlive(entry.key)) return undefined;
    this.entries.set(hash, entry);
    return entry.claims;
  }

  set(token: string, verification: Verification): void {
    if (this.maxEntries <= 0) return;
    this.entries.set(hashOf(token), verification);
    if (this.entries.size <= this.maxEntries) return;
    const [oldest] = this.entries.keys();
    if (oldest !== undefined) this.entries.delete(oldest);
  }
}

function hashOf(token: string): string {
  return hash('sha256', token, 'base64');
}
