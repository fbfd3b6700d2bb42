import { Listener, type ListenerSettings } from './listener.js';

/** Listeners that end together. */
export class Crowd implements Disposable {
  readonly all: Listener[] = [];

  add(settings: ListenerSettings): Listener {
    const listener = new Listener(settings);
    this.all.push(listener);
    return listener;
  }

  [Symbol.dispose](): void {
    for (const listener of this.all) listener[Symbol.dispose]();
  }
}
