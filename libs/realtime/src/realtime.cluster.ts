import { Subject } from 'rxjs';
import { ClusterRequests } from './cluster/cluster-requests.js';
import { AppliedCommands } from './cluster/applied-commands.js';
import { CommandFollower } from './cluster/command-follower.js';
import type { ClusterCommand } from './cluster/command-log.js';
import { NodeRegistry } from './cluster/node-registry.js';
import { OlderNodes } from './cluster/older-nodes.js';
import { NodePresence } from './presence/node-presence.js';
import type { PresenceTransition } from './presence/presence-store.js';
import type { NodeContext } from './realtime.context.js';

export interface ClusterHooks {
  readonly apply: (command: ClusterCommand) => void;
  readonly activeRevocations: () => readonly ClusterCommand[];
}

/** Milliseconds that a lease outlives the leave grace at shutdown, so that who comes back elsewhere has not left. */
const LEASE_SLACK_MS = 2_000;
/** Longest that messages wait for the command log after Redis came back, in milliseconds. */
const CATCH_UP_MS = 1_000;

/** What makes this process one node of a cluster: its lease, its presence entries, the command log, questions to others. */
export class ClusterParts {
  readonly transitions = new Subject<PresenceTransition>();
  readonly nodes: NodeRegistry;
  readonly presence: NodePresence;
  readonly follower: CommandFollower;
  private readonly older: OlderNodes | undefined;
  readonly requests: ClusterRequests;
  /** Pending after Redis came back, until the commands that were missed have been carried out; at most a second. */
  catchingUp: Promise<void> | undefined;
  private stopListening = (): void => undefined;

  constructor(
    private readonly context: NodeContext,
    hooks: ClusterHooks,
  ) {
    const { clock, metrics, nodeId, note, options, engine } = context;
    const { bus, leases, commands, older, presence: store } = engine;
    const { leaseMs, renewMs, watchMs, sweepAgainMs, requestTimeoutMs } = options.cluster;
    this.nodes = new NodeRegistry({
      ...{ leases, clock, nodeId, onError: note, leaseMs, renewMs, watchMs, sweepAgainMs },
      onLapsed: (incarnation) => this.presence.sweep(incarnation),
      onForgotten: (incarnation) => store.forget(incarnation),
      onCommandsTop: (top) => this.follower.onTop(top),
    });
    this.presence = new NodePresence({
      ...{ store, clock, metrics, incarnations: this.nodes, leaveGraceMs: options.presence.leaveGraceMs },
      onTransition: (transition) => this.transitions.next(transition),
    });
    const following = { bus, clock, onError: note, applied: new AppliedCommands(), ...hooks };
    this.follower = new CommandFollower({ log: commands, ...following });
    this.older =
      older &&
      new OlderNodes({
        leases: older.leases,
        follower: new CommandFollower({ log: older.commands, ...following }),
        clock,
        onAlive: (nodeIds) => this.warnOf(nodeIds),
        onError: note,
      });
    this.requests = new ClusterRequests({
      bus,
      clock,
      nodeId,
      nodes: this.nodes,
      timeoutMs: requestTimeoutMs,
      onError: note,
    });
  }

  /**
   * Loads the command log and takes the lease. Without Redis, or with one that refuses, the node serves what it can, and catches
   * up later. Rejects if Redis refuses and is required.
   */
  async join(): Promise<void> {
    const { engine, note } = this.context;
    const { bus } = engine;
    this.stopListening = bus.onState((state) => {
      if (state === 'up') this.rejoin();
    });
    const joined = Promise.all([this.follower.ready(), this.older?.ready(), this.nodes.start()]);
    const isUp = bus.state === 'up';
    const served = engine.untilServed(isUp ? Promise.all([joined, this.requests.ready()]) : joined);
    if (!isUp) return void served.catch(note);
    try {
      await served;
    } catch (error) {
      this.leave().catch(note);
      throw error;
    }
  }

  async leave(): Promise<void> {
    this.stopListening();
    await this.presence.close();
    await this.nodes.close(this.context.options.presence.leaveGraceMs + LEASE_SLACK_MS);
    await this.follower.close();
    await this.older?.close();
    await this.requests.close();
    this.transitions.complete();
  }

  /** Nobody acts on credentials that were withdrawn meanwhile: messages wait for this, see `MessageDispatcher`. */
  private catchUp(): void {
    const { clock, note } = this.context;
    const caughtUp = new Promise<void>((resolve) => {
      const cancel = clock.after(CATCH_UP_MS, resolve);
      Promise.all([this.follower.catchUp(), this.older?.catchUp()])
        .catch(note)
        .finally(() => {
          cancel();
          resolve();
        });
    }).then(() => {
      if (this.catchingUp === caughtUp) this.catchingUp = undefined;
    });
    this.catchingUp = caughtUp;
  }

  private warnOf(nodeIds: readonly string[]): void {
    this.context.logger.warn(
      `Nodes of an older version share this Redis and keyPrefix (${nodeIds.join(', ').slice(0, 200)}): commands and publications ` +
        'reach both, but presence and requests are theirs or ours. Let the roll-out end',
    );
  }

  private rejoin(): void {
    void this.nodes.refresh();
    void this.presence.restoreAll();
    this.requests.ready().catch(this.context.note);
    this.catchUp();
  }
}
