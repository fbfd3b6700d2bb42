import type { Socket } from 'socket.io-client';
import { steadyNow } from './clock.js';
import { isRecord } from './client-error.js';

/** Engine.IO's own defaults: 25 s between pings, 20 s to answer. */
const DEFAULT_SILENCE_MS = 45_000;

/**
 * How long the server has been silent. Timers of a hidden tab are late, and none runs while a device sleeps: so this
 * compares times when somebody asks, and needs no timer.
 */
export class Heartbeat {
  #heardAt = 0;
  #silenceMs = DEFAULT_SILENCE_MS;

  /** After each `socket.connect()`: the engine is a new one. */
  watch(socket: Socket): void {
    const { engine } = socket.io;
    this.#heardAt = steadyNow();
    engine.on('handshake', (handshake: unknown) => {
      if (!isRecord(handshake)) return;
      const silenceMs = Number(handshake['pingInterval']) + Number(handshake['pingTimeout']);
      if (silenceMs > 0) this.#silenceMs = silenceMs;
    });
    engine.on('packet', () => (this.#heardAt = steadyNow()));
  }

  get isOverdue(): boolean {
    return steadyNow() - this.#heardAt > this.#silenceMs;
  }
}
