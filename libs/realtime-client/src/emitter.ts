type Listener = (...args: never[]) => void;

/** Removes the listener; calling it again does nothing. */
export type Off = () => void;

/** Listeners by name. One that throws is reported like any uncaught error and does not keep the others from running. */
export class Emitter {
  readonly #listeners = new Map<string, Set<Listener>>();

  on(event: string, listener: Listener): Off {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  emit(event: string, ...args: unknown[]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...(args as never[]));
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
