import type { Cancel, Clock } from '../core/clock.js';

/** The few things of a node-redis client that say how it is. */
interface Connected {
  readonly isReady: boolean;
  on(event: 'ready', listener: () => void): unknown;
  sendCommand(args: string[]): Promise<unknown>;
}

const RETRY_MS = 20;

/**
 * Open while the server answers. node-redis is `ready` as soon as it is connected, but a server that still loads its data
 * refuses command by command: of a pipeline the first would be refused, and later ones carried out.
 */
export class ReadyGate {
  readonly #client: Connected;
  readonly #clock: Clock;
  readonly #listeners = new Set<(isOpen: boolean) => void>();
  #isOpen = false;
  #cancelRetry: Cancel = () => undefined;

  constructor(client: Connected, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
    client.on('ready', () => this.#knock());
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#client.isReady;
  }

  onChange(listener: (isOpen: boolean) => void): void {
    this.#listeners.add(listener);
  }

  /** The connection broke, or ended. */
  close(): void {
    this.#set(false);
  }

  /** Resolves when it is open; rejects when the client ends before. */
  opened(): Promise<void> {
    if (this.isOpen) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = (isOpen: boolean): void => {
        this.#listeners.delete(done);
        if (isOpen) resolve();
        else reject(new Error('the connection ended before the server answered'));
      };
      this.#listeners.add(done);
    });
  }

  #knock(): void {
    this.#cancelRetry();
    this.#client.sendCommand(['PING']).then(
      () => this.#set(true),
      (error: unknown) => {
        // Broken: the next `ready` knocks again.
        if (!this.#client.isReady) return;
        const isLoading = error instanceof Error && /^(LOADING|MASTERDOWN)\b/.test(error.message);
        if (isLoading) this.#cancelRetry = this.#clock.after(RETRY_MS, () => this.#client.isReady && this.#knock());
        // Whatever else it says, for example that an ACL forbids PING: it answers.
        else this.#set(true);
      },
    );
  }

  #set(isOpen: boolean): void {
    this.#cancelRetry();
    this.#isOpen = isOpen;
    for (const listener of [...this.#listeners]) listener(isOpen);
  }
}
