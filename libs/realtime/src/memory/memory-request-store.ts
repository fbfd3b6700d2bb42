import { systemClock, type Clock } from '../core/clock.js';
import type { Incarnation } from '../core/ids.js';
import {
  MAX_REQUESTS_IN_WINDOW,
  type ClaimResult,
  type RequestClaim,
  type RequestKey,
  type RequestStore,
  type RequestStoreOptions,
  type Settlement,
} from '../requests/request-store.js';

type Entry = { readonly at: number } & (
  | { readonly kind: 'claim'; readonly token: string; readonly incarnation: Incarnation; readonly attempt: number }
  | { readonly kind: 'answer'; readonly body: string }
  | { readonly kind: 'applied' }
  | { readonly kind: 'release'; readonly attempt: number }
);

interface Device {
  /** In the order of `at`, because each change moves an entry to the end. */
  readonly entries: Map<string, Entry>;
  /** Ids with an answer, the oldest first; some may be forgotten already. */
  readonly answered: string[];
}

/** Requests of one process. Expired ones go when their device, or any new one, is seen: no timer. */
export class MemoryRequestStore implements RequestStore {
  readonly #options: RequestStoreOptions;
  readonly #clock: Clock;
  /** In the order of the last change. */
  readonly #devices = new Map<string, Device>();

  constructor(options: RequestStoreOptions, clock: Clock = systemClock) {
    this.#options = options;
    this.#clock = clock;
  }

  claim(key: RequestKey, claim: RequestClaim): Promise<ClaimResult> {
    return Promise.resolve(this.#claim(key, claim));
  }

  settle(key: RequestKey, token: string, settlement: Settlement): Promise<boolean> {
    const device = this.#devices.get(nameOf(key));
    const found = device?.entries.get(key.id);
    if (!device || found?.kind !== 'claim' || found.token !== token) return Promise.resolve(false);
    this.#settle(device, key, found.attempt, settlement);
    return Promise.resolve(true);
  }

  #claim(key: RequestKey, { token, incarnation, takeOver }: RequestClaim): ClaimResult {
    const now = this.#clock.now();
    this.#forgetExpired(now);
    const device = this.#devices.get(nameOf(key)) ?? { entries: new Map<string, Entry>(), answered: [] };
    this.#forgetExpiredOf(device, now);
    const found = device.entries.get(key.id);
    let attempt = 1;
    if (found?.kind === 'answer') return { status: 'answered', body: found.body };
    if (found?.kind === 'applied') return { status: 'applied' };
    if (found?.kind === 'claim') {
      if (found.token !== takeOver?.token)
        return { status: 'claimed', token: found.token, incarnation: found.incarnation };
      attempt = found.attempt + (takeOver.mayHaveRun ? 1 : 0);
    } else if (found?.kind === 'release') {
      attempt = found.attempt + 1;
    } else if (device.entries.size >= MAX_REQUESTS_IN_WINDOW) {
      const [oldest] = device.entries.values();
      return { status: 'full', retryAfterMs: Math.max((oldest?.at ?? now) + this.#options.windowMs - now, 1) };
    }
    this.#put(device, key, { kind: 'claim', token, incarnation, attempt, at: now });
    return { status: 'run', attempt };
  }

  #settle(device: Device, key: RequestKey, attempt: number, settlement: Settlement): void {
    const at = this.#clock.now();
    switch (settlement.kind) {
      case 'forget':
        // An earlier attempt may have run: the next one has to know.
        if (attempt === 1) device.entries.delete(key.id);
        else this.#put(device, key, { kind: 'release', attempt: attempt - 1, at });
        return;
      case 'release':
        return this.#put(device, key, { kind: 'release', attempt, at });
      case 'applied':
        return this.#put(device, key, { kind: 'applied', at });
      case 'answer':
        this.#put(device, key, { kind: 'answer', body: settlement.body, at });
        device.answered.push(key.id);
        return this.#dropOldAnswers(device);
    }
  }

  #put(device: Device, key: RequestKey, entry: Entry): void {
    device.entries.delete(key.id);
    device.entries.set(key.id, entry);
    const name = nameOf(key);
    this.#devices.delete(name);
    this.#devices.set(name, device);
  }

  #dropOldAnswers(device: Device): void {
    const surplus = Math.max(device.answered.length - this.#options.maxPerDevice, 0);
    for (const id of device.answered.splice(0, surplus)) {
      const entry = device.entries.get(id);
      if (entry?.kind === 'answer') device.entries.set(id, { kind: 'applied', at: entry.at });
    }
  }

  #forgetExpired(now: number): void {
    for (const [name, device] of this.#devices) {
      this.#forgetExpiredOf(device, now);
      if (device.entries.size > 0) break;
      this.#devices.delete(name);
    }
  }

  #forgetExpiredOf({ entries }: Device, now: number): void {
    for (const [id, { at }] of entries) {
      if (at > now - this.#options.windowMs) break;
      entries.delete(id);
    }
  }
}

function nameOf({ principalId, device }: RequestKey): string {
  return JSON.stringify([principalId, device]);
}
