import { isRecord } from './client-error.js';
import type { Debug } from './debug.js';
import type { OutboxStorage } from './options.js';
import type { OutboxEntry, OutboxStore, Stored, StoreEvents } from './outbox-entry.js';
import { randomId } from './random-id.js';
import { readOf } from './storage.js';

export interface StoredOutboxOptions {
  /**
   * Default: `localStorage`, which needs Web Locks (a secure page): one tab owns it, the others keep theirs in memory. An
   * own storage is locked when the platform has Web Locks.
   */
  storage?: OutboxStorage;
  /** Name in the storage. Default: derived from the URL. */
  key?: string;
}

/**
 * Keeps requests with `offline: 'queue'` over a reload: `outbox: { store: storedOutbox() }`. A function of its own, so that
 * a page without it does not load it.
 */
export function storedOutbox({ storage, key }: StoredOutboxOptions = {}): OutboxStore {
  return (url, events, debug) => {
    const vault = new Vault(key ?? `realtime-outbox:${url}`, events, debug);
    return { ready: vault.open(storage), save: (stored) => vault.save(stored), close: () => vault.close() };
  };
}

/**
 * The outbox's place on disk. It refuses to decide what is kept.
 * Invariant: it reads and writes only while it owns the lock, so no request is in the hands of two tabs.
 */
class Vault {
  #storage: OutboxStorage | undefined;
  #isOwner = false;
  #isClosed = false;
  #release: (() => void) | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  #latest = '';

  constructor(
    private readonly key: string,
    private readonly events: StoreEvents,
    private readonly debug: Debug,
  ) {}

  /** Resolves when it is known whether this client owns the storage, and what is in it. Never rejects. */
  async open(storage: OutboxStorage | undefined): Promise<void> {
    try {
      // Not before its owner is complete: it may have something to tell.
      await Promise.resolve();
      const locks = (globalThis.navigator as Navigator | undefined)?.locks;
      this.#storage = storage ?? globalThis.localStorage;
      if (locks) await this.#lock(locks);
      else if (!storage) throw new Error('There are no Web Locks: is the page secure (HTTPS)?');
      else await this.#own(true);
    } catch (error) {
      this.#fail(error);
    }
  }

  save(stored: Stored): void {
    if (!this.#isOwner || !this.#storage) return;
    const text = stored.entries.length === 0 ? '' : JSON.stringify({ v: 1, ...stored });
    if (text === this.#latest) return;
    this.#latest = text;
    const storage = this.#storage;
    try {
      // The device is worth nothing without entries that were sent from it.
      const written = text === '' ? storage.removeItem(this.key) : storage.setItem(this.key, text);
      if (written) this.#writing = this.#writing.then(() => written).catch((error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Another tab may own the storage now. */
  close(): void {
    this.#isClosed = true;
    this.#isOwner = false;
    this.#release?.();
  }

  #lock(locks: LockManager): Promise<void> {
    const name = `nestjs-realtime:${this.key}`;
    return new Promise((resolve, reject) => {
      const own = async (isFirst: boolean): Promise<void> => {
        if (this.#isClosed) return;
        const released = new Promise<void>((release) => (this.#release = release));
        await this.#own(isFirst);
        resolve();
        await released;
      };
      const ask = async (lock: Lock | null): Promise<void> => {
        if (lock) return own(true);
        this.debug('another tab owns the stored outbox: this one is in memory');
        resolve();
        locks.request(name, () => own(false)).catch((error: unknown) => this.#fail(error));
      };
      locks.request(name, { ifAvailable: true }, ask).catch(reject);
    });
  }

  async #own(isFirst: boolean): Promise<void> {
    try {
      const text = await readOf(this.#storage?.getItem(this.key));
      if (this.#isClosed) return;
      this.#isOwner = true;
      const stored = parseOutbox(text);
      this.debug('owns the stored outbox', { entries: stored?.entries.length ?? 0 });
      if (stored) this.events.restored(stored, isFirst);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(why: unknown): void {
    if (this.#isClosed) return;
    this.close();
    this.events.lost(why);
  }
}

/** Whatever is in the storage: another version of us, another program, a user with developer tools. */
function parseOutbox(text: unknown): Stored | undefined {
  try {
    const value: unknown = JSON.parse(String(text));
    if (!isRecord(value) || value['v'] !== 1 || !Array.isArray(value['entries'])) return undefined;
    const entries = (value['entries'] as unknown[]).filter(isEntry);
    const device = typeof value['device'] === 'string' ? value['device'] : randomId();
    return { device, entries: entries.map((entry) => ({ ...entry, isInFlight: false, isRestored: true })) };
  } catch {
    return undefined;
  }
}

function isEntry(value: unknown): value is OutboxEntry {
  if (!isRecord(value)) return false;
  const isText = (name: string): boolean => typeof value[name] === 'string';
  const isNumber = (name: string): boolean => Number.isFinite(value[name]);
  return ['id', 'event', 'principal'].every(isText) && ['bytes', 'deadlineAt', 'attempt'].every(isNumber);
}
