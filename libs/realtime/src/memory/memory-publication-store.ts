import { createHash } from 'node:crypto';
import { roomChannel, type ClusterBus } from '../cluster/cluster-bus.js';
import { systemClock, type Clock } from '../core/clock.js';
import {
  PUBLICATION_WINDOW_MS,
  type NamedPublication,
  type PublicationStore,
  type PublishOutcome,
} from '../requests/publication-store.js';
import { ExpiringMap } from './expiring-map.js';

/** Publications remembered at once, about 200 bytes each. */
const MAX_PUBLICATIONS = 100_000;

/** Publications with an id in one process, put on its bus once each. */
export class MemoryPublicationStore implements PublicationStore {
  readonly #bus: ClusterBus;
  readonly #known: ExpiringMap<string>;

  constructor(bus: ClusterBus, clock: Clock = systemClock) {
    this.#bus = bus;
    this.#known = new ExpiringMap(clock, PUBLICATION_WINDOW_MS, MAX_PUBLICATIONS);
  }

  async publishOnce({ room, publisher, id, payload }: NamedPublication): Promise<PublishOutcome> {
    const name = JSON.stringify([room, publisher, id]);
    const digest = createHash('sha256').update(payload).digest('base64url');
    const known = this.#known.get(name);
    if (known !== undefined) return known === digest ? 'repeat' : 'conflict';
    this.#known.set(name, digest);
    try {
      await this.#bus.publish(roomChannel(room), payload);
    } catch (error) {
      this.#known.delete(name);
      throw error;
    }
    return 'published';
  }
}
