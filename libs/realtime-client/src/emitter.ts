type Listener = (...args: never[]) => void;

/** Removes the listener; calling it again does nothing. */
export type Off = () => void;

/** Listeners by name. One that throws is reported and does not keep the others from running. */
export class Emitter {
  readonly #listeners = new Map<string, Set<Listener>>();

  on(event: string, listener: Listener): Off {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  emit(event: string, ...args: unknown[]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) guarded(() => listener(...(args as never[])));
  }
}

/** Calls what the app gave us. In a browser its error is `window.onerror`'s, elsewhere the console's: thrown, it would end a Node process. */
export function guarded(act: () => void): void {
  try {
    act();
  } catch (error) {
    ((globalThis as Partial<typeof globalThis>).reportError ?? console.error)(error);
  }
}
