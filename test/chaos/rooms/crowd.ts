import { Listener, type ListenerSettings } from './listener.js';
import type { Member } from './member.js';

/** Members that end together. */
export class Crowd implements Disposable {
  readonly all: Member[] = [];

  /** With a stock client. */
  add(settings: ListenerSettings): Listener {
    const listener = new Listener(settings);
    this.all.push(listener);
    return listener;
  }

  [Symbol.dispose](): void {
    for (const member of this.all) member[Symbol.dispose]();
  }
}
