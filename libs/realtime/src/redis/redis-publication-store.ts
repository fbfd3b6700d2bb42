import { createHash } from 'node:crypto';
import { roomChannel } from '../cluster/cluster-bus.js';
import { RealtimeError } from '../core/realtime-error.js';
import {
  PUBLICATION_WINDOW_MS,
  type NamedPublication,
  type PublicationStore,
  type PublishOutcome,
} from '../requests/publication-store.js';
import { loadScript } from './load-script.js';
import type { ScriptRunner } from './script-runner.js';

const PUBLISH_ONCE = loadScript('publish-once');

/** Publications with an id in Redis: one script, in the room's slot, a key of about 150 bytes each for the window. */
export class RedisPublicationStore implements PublicationStore {
  readonly #redis: ScriptRunner;
  readonly #maxBytes: number;

  constructor(redis: ScriptRunner, maxBytes: number) {
    this.#redis = redis;
    this.#maxBytes = maxBytes;
  }

  async publishOnce({ room, publisher, id, payload }: NamedPublication): Promise<PublishOutcome> {
    if (Buffer.byteLength(payload) > this.#maxBytes) {
      throw new RealtimeError('LIMIT_EXCEEDED', `A message between nodes may have ${this.#maxBytes} bytes`);
    }
    const { keyPrefix } = this.#redis;
    const key = `${keyPrefix}{${room}}:once:${digest(JSON.stringify([publisher, id]))}`;
    const args = [digest(payload), String(PUBLICATION_WINDOW_MS), keyPrefix + roomChannel(room), payload];
    return (await this.#redis.run(PUBLISH_ONCE, [key], args)) as PublishOutcome;
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
