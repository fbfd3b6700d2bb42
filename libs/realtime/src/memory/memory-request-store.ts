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

type Entry = { readonly at: number; readonly event: string | undefined } & (
  | { readonly kind: 'claim'; readonly token: string; readonly incarnation: Incarnation; readonly attempt: number }
  | { readonly kind: 'answer'; readonly body: string }
  | { readonly kind: 'applied' }
  | { readonly kind: 'release'; readonly attempt: number }
);

type Claimed = Extract<Entry, { kind: 'claim' }>;

interface Principal {
  /** By device and id. In the order of `at`, because each change moves an entry to the end. */
  readonly entries: Map<string, Entry>;
  /** Requests with an answer, the oldest first, with the bytes of it. */
  readonly answered: Map<string, number>;
  /** Those of each device. */
  readonly devices: Map<string, Set<string>>;
  bytes: number;
}

/** Bytes of answers for all principals: so many times those of one. */
const PRINCIPALS = 16;

/** Requests of one process. Expired ones go when their principal, or any new one, is seen: no timer. */
export class MemoryRequestStore implements RequestStore {
  readonly #options: RequestStoreOptions;
  readonly #clock: Clock;
  /** In the order of the last change. */
  readonly #principals = new Map<string, Principal>();
  #bytes = 0;

  constructor(options: RequestStoreOptions, clock: Clock = systemClock) {
    this.#options = options;
    this.#clock = clock;
  }

  claim(key: RequestKey, claim: RequestClaim): Promise<ClaimResult> {
    return Promise.resolve(this.#claim(key, claim));
  }

  settle(key: RequestKey, token: string, settlement: Settlement): Promise<boolean> {
    const principal = this.#principals.get(key.principalId);
    const found = principal?.entries.get(nameOf(key));
    if (!principal || found?.kind !== 'claim' || found.token !== token) return Promise.resolve(false);
    this.#settle(principal, key, found, settlement);
    return Promise.resolve(true);
  }

  #claim(key: RequestKey, { token, incarnation, event, takeOver }: RequestClaim): ClaimResult {
    const now = this.#clock.now();
    this.#forgetExpired(now);
    const principal = this.#principals.get(key.principalId) ?? newPrincipal();
    this.#forgetExpiredOf(principal, now);
    const found = principal.entries.get(nameOf(key));
    let attempt = 1;
    if (found?.event !== undefined && event !== undefined && found.event !== event) return { status: 'other-event' };
    if (found?.kind === 'answer') return { status: 'answered', body: found.body };
    if (found?.kind === 'applied') return { status: 'applied' };
    if (found?.kind === 'claim') {
      if (found.token !== takeOver?.token)
        return { status: 'claimed', token: found.token, incarnation: found.incarnation };
      attempt = found.attempt + (takeOver.mayHaveRun ? 1 : 0);
    } else if (found?.kind === 'release') {
      attempt = found.attempt + 1;
    } else if (principal.entries.size >= MAX_REQUESTS_IN_WINDOW) {
      const [oldest] = principal.entries.values();
      return { status: 'full', retryAfterMs: Math.max((oldest?.at ?? now) + this.#options.windowMs - now, 1) };
    }
    this.#put(principal, key, { kind: 'claim', token, incarnation, attempt, event: event ?? found?.event, at: now });
    return { status: 'run', attempt };
  }

  #settle(principal: Principal, key: RequestKey, { attempt, event }: Claimed, settlement: Settlement): void {
    const at = this.#clock.now();
    switch (settlement.kind) {
      case 'forget':
        // An earlier attempt may have run: the next one has to know.
        if (attempt === 1) principal.entries.delete(nameOf(key));
        else this.#put(principal, key, { kind: 'release', attempt: attempt - 1, event, at });
        return;
      case 'release':
        return this.#put(principal, key, { kind: 'release', attempt, event, at });
      case 'applied':
        return this.#put(principal, key, { kind: 'applied', event, at });
      case 'answer':
        this.#put(principal, key, { kind: 'answer', body: settlement.body, event, at });
        return this.#keepAnswer(principal, key, Buffer.byteLength(settlement.body));
    }
  }

  #put(principal: Principal, key: RequestKey, entry: Entry): void {
    const name = nameOf(key);
    principal.entries.delete(name);
    principal.entries.set(name, entry);
    this.#principals.delete(key.principalId);
    this.#principals.set(key.principalId, principal);
  }

  #keepAnswer(principal: Principal, key: RequestKey, bytes: number): void {
    const { maxPerDevice, maxBytesPerUser } = this.#options;
    const name = nameOf(key);
    principal.answered.set(name, bytes);
    principal.bytes += bytes;
    this.#bytes += bytes;
    const ofDevice = principal.devices.get(key.device) ?? new Set<string>();
    principal.devices.set(key.device, ofDevice.add(name));
    for (const oldest of ofDevice) {
      if (ofDevice.size <= maxPerDevice) break;
      this.#dropAnswer(principal, oldest);
    }
    for (const oldest of principal.answered.keys()) {
      if (principal.bytes <= maxBytesPerUser) break;
      this.#dropAnswer(principal, oldest);
    }
    // Those who were not seen for longest first.
    for (const other of this.#principals.values()) {
      if (this.#bytes <= PRINCIPALS * maxBytesPerUser) break;
      for (const oldest of [...other.answered.keys()]) this.#dropAnswer(other, oldest);
    }
  }

  /** That it happened is still known. */
  #dropAnswer(principal: Principal, name: string): void {
    this.#forgetAnswer(principal, name);
    const entry = principal.entries.get(name);
    if (entry?.kind === 'answer') principal.entries.set(name, { kind: 'applied', event: entry.event, at: entry.at });
  }

  #forgetAnswer(principal: Principal, name: string): void {
    const { answered, devices } = principal;
    const bytes = answered.get(name);
    if (bytes === undefined) return;
    answered.delete(name);
    principal.bytes -= bytes;
    this.#bytes -= bytes;
    const device = deviceOf(name);
    const ofDevice = devices.get(device);
    ofDevice?.delete(name);
    if (ofDevice?.size === 0) devices.delete(device);
  }

  #forgetExpired(now: number): void {
    for (const [id, principal] of this.#principals) {
      this.#forgetExpiredOf(principal, now);
      if (principal.entries.size > 0) break;
      this.#principals.delete(id);
    }
  }

  #forgetExpiredOf(principal: Principal, now: number): void {
    for (const [name, { at }] of principal.entries) {
      if (at > now - this.#options.windowMs) break;
      principal.entries.delete(name);
      this.#forgetAnswer(principal, name);
    }
  }
}

function newPrincipal(): Principal {
  return { entries: new Map(), answered: new Map(), devices: new Map(), bytes: 0 };
}

/** Ids hold no space. */
function nameOf({ device, id }: RequestKey): string {
  return `${id} ${device}`;
}

function deviceOf(name: string): string {
  return name.slice(name.indexOf(' ') + 1);
}
