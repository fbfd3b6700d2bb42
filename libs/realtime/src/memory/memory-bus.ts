import type { BusListener, BusState, ClusterBus } from '../cluster/cluster-bus.js';
import { RealtimeError } from '../core/realtime-error.js';
import { MemoryHub, type HubMember } from './memory-hub.js';

interface Subscription {
  readonly listener: BusListener;
  /** The hub's newest message when it began: that one and older ones belong to earlier subscriptions. */
  readonly since: number;
}

/** The bus of one process without Redis; several on one hub act as several nodes. A listener that throws harms nobody else. */
export class MemoryBus implements ClusterBus, HubMember {
  readonly #hub: MemoryHub;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #stateListeners = new Set<(state: BusState) => void>();
  readonly #onListenerError: (error: unknown) => void;
  #state: BusState = 'up';
  #isClosed = false;

  constructor(hub: MemoryHub = new MemoryHub(), onListenerError: (error: unknown) => void = () => undefined) {
    this.#hub = hub;
    this.#onListenerError = onListenerError;
    hub.attach(this);
  }

  get state(): BusState {
    return this.#state;
  }

  get roundTripMs(): number | undefined {
    return this.#isClosed ? undefined : 0;
  }

  onState(listener: (state: BusState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#state = 'down';
    this.#hub.detach(this);
    this.#subscriptions.clear();
    this.#stateListeners.clear();
    return Promise.resolve();
  }

  subscribe(channel: string, listener: BusListener): Promise<void> {
    if (this.#isClosed) return Promise.reject(new RealtimeError('UNAVAILABLE'));
    this.#subscriptions.set(channel, { listener, since: this.#hub.sent });
    return Promise.resolve();
  }

  unsubscribe(channel: string): Promise<void> {
    this.#subscriptions.delete(channel);
    return Promise.resolve();
  }

  publish(channel: string, payload: string): Promise<void> {
    if (this.#state === 'down') return Promise.reject(new RealtimeError('UNAVAILABLE'));
    this.#hub.send(channel, payload);
    return Promise.resolve();
  }

  /** Cuts this node off, as a lost Redis would, or connects it again: what was published meanwhile is lost for it. */
  setState(state: BusState): void {
    if (this.#isClosed || state === this.#state) return;
    this.#state = state;
    for (const listener of this.#stateListeners) listener(state);
  }

  /** Called by the hub. */
  deliver(channel: string, payload: string, number: number): void {
    if (this.#state === 'down') return;
    const subscription = this.#subscriptions.get(channel);
    if (subscription === undefined || number <= subscription.since) return;
    try {
      subscription.listener(payload);
    } catch (error) {
      this.#onListenerError(error);
    }
  }
}
