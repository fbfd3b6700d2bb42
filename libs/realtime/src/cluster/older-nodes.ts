import type { Cancel, Clock } from '../core/clock.js';
import type { Lifecycle } from '../core/lifecycle.js';
import type { CommandFollower } from './command-follower.js';
import type { CommandLog } from './command-log.js';
import type { NodeLeases } from './node-leases.js';

/** What nodes of an older version keep where this one keeps nothing. */
export interface OlderEngine {
  readonly commands: CommandLog;
  readonly leases: Pick<NodeLeases, 'alive'>;
}

export interface OlderNodesOptions {
  readonly leases: OlderEngine['leases'];
  readonly follower: CommandFollower;
  readonly clock: Clock;
  /** At most once. */
  readonly onAlive: (nodeIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

/** Milliseconds: their leases are not looked at for a renewal of ours, so nothing else says that their log is ahead. */
const LOOK_MS = 30_000;

/**
 * Carries out the commands of nodes that still use the key names of before, during a roll-out and until the last of their
 * revocations has expired. Refuses to be one of them: it takes no lease there, and writes nothing but commands.
 */
export class OlderNodes implements Lifecycle {
  #cancel: Cancel | undefined;
  #wasTold = false;

  constructor(private readonly options: OlderNodesOptions) {}

  /** Resolves when their log was loaded, however long that takes; also when closed. */
  ready(): Promise<void> {
    this.#cancel ??= this.options.clock.every(LOOK_MS, () => this.#look());
    this.#seek();
    return this.options.follower.ready();
  }

  close(): Promise<void> {
    this.#cancel?.();
    return this.options.follower.close();
  }

  /** As `CommandFollower.catchUp`. */
  catchUp(): Promise<void> {
    return this.options.follower.catchUp();
  }

  #look(): void {
    if (this.options.follower.position !== undefined) this.catchUp().catch(this.options.onError);
    this.#seek();
  }

  #seek(): void {
    if (this.#wasTold) return;
    this.options.leases.alive().then((alive) => {
      if (alive.length === 0 || this.#wasTold) return;
      this.#wasTold = true;
      this.options.onAlive(alive.map(({ nodeId }) => nodeId));
    }, this.options.onError);
  }
}
