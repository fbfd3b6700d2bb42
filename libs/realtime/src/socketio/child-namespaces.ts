import { isRoomName } from 'nestjs-realtime-protocol';
import type { Namespace, Server, Socket } from 'socket.io';
import { RealtimeError } from '../core/realtime-error.js';
import { setLabel } from './namespace-label.js';
import { onRemoved } from './pending-sockets.js';

// The namespaces that Socket.IO makes from a pattern: their names, their number, their end. Socket.IO's own
// `cleanupEmptyChildNamespaces` ends one while a connection to it waits in a middleware, which then connects into nothing.

/** Of the node: a user who comes and goes, or a page that is loaded again, does not subscribe anew in Redis each time. */
const MAX_EMPTY = 8;

const RETRY_AFTER_MS = 10_000;

/** A pattern's namespace: nobody connects to it, and what it has is handed to each child that is made. */
export interface ParentNamespace extends Namespace {
  readonly children: Set<Namespace>;
  createChild(name: string): Namespace;
}

type Decide = (error: Error | null, allows: boolean) => void;
type Allows = (name: string, auth: Record<string, unknown>, decide: Decide) => void;

interface ServerInternals {
  readonly _nsps: Map<string, Namespace>;
  readonly parentNsps: ReadonlyMap<Allows, ParentNamespace>;
  readonly parentNamespacesFromRegExp: ReadonlyMap<RegExp, ParentNamespace>;
}

/** Beyond its types. */
interface ChildInternals {
  /** Sockets whose middlewares have not passed yet. */
  readonly _preConnectSockets?: ReadonlyMap<string, Socket>;
}

interface Child {
  readonly server: ServerInternals;
  readonly namespace: Namespace;
  /** Of the namespace. */
  readonly internals: ChildInternals;
  readonly parent: ParentNamespace;
}

export interface ChildNamespacesDeps {
  /** Children of this node. 0: no limit. */
  readonly max: number;
  /** A CONNECT would have made one more. */
  readonly onFull: (name: string) => void;
  readonly report: (error: unknown) => void;
}

/** 1 to 200 characters of a room's alphabet behind the slash: no pattern of Redis, nothing that hides in a log or a metric. */
export function isChildName(name: string): boolean {
  return name.startsWith('/') && isRoomName(name.slice(1));
}

/** The first pattern that has this name, as Socket.IO asks them. Rejects with what a namespace function of the app has thrown. */
export async function parentFor(
  server: Server,
  name: string,
  auth: Record<string, unknown>,
): Promise<ParentNamespace | undefined> {
  for (const [allows, parent] of internalsOf(server).parentNsps) {
    const isAllowed = await new Promise<boolean>((resolve) =>
      allows(name, auth, (error, isAllowed) => resolve(!error && Boolean(isAllowed))),
    );
    if (isAllowed) return parent;
  }
  return undefined;
}

/** Keeps the children of one node. A child whose last connection has gone lingers with at most seven others, then ends. */
export class ChildNamespaces {
  private readonly children = new Set<Child>();
  /** Those that were seen without a connection, in the order in which they lost the last one. */
  private readonly empty = new Set<Child>();
  private isTrimming = false;

  constructor(private readonly deps: ChildNamespacesDeps) {}

  /** A client or server code has made it. Other namespaces are left alone. */
  adopt(server: Server, namespace: Namespace): void {
    const { parentNsps } = internalsOf(server);
    const parent = [...parentNsps.values()].find(({ children }) => children.has(namespace));
    if (!parent) return;
    const internals = namespace as unknown as ChildInternals;
    const child: Child = { server: internalsOf(server), namespace, internals, parent };
    setLabel(namespace, patternOf(child));
    this.children.add(child);
    onRemoved(namespace, () => this.look(child));
    this.look(child);
  }

  /** Resolves when one more can be made, for which an empty one has to go. Rejects with `UNAVAILABLE` and `retryAfterMs`. */
  async makeRoom(name: string): Promise<void> {
    if (!this.isFull) return;
    await afterTurn();
    this.forgetOccupied();
    this.endOldest(1);
    if (!this.isFull) return;
    this.deps.onFull(name);
    throw tooMany();
  }

  /** Call `makeRoom` before. @throws RealtimeError `UNAVAILABLE` if somebody else has taken the place. */
  make(parent: ParentNamespace, name: string): void {
    if (this.isFull) throw tooMany();
    parent.createChild(name);
  }

  private get isFull(): boolean {
    const { max } = this.deps;
    return max > 0 && this.children.size >= max;
  }

  private look(child: Child): void {
    if (!this.children.has(child) || !isEmpty(child)) return;
    this.empty.delete(child);
    this.empty.add(child);
    if (this.isTrimming || this.empty.size <= MAX_EMPTY) return;
    this.isTrimming = true;
    void afterTurn().then(() => {
      this.isTrimming = false;
      this.forgetOccupied();
      this.endOldest(this.empty.size - MAX_EMPTY);
    });
  }

  private forgetOccupied(): void {
    for (const child of this.empty) if (!isEmpty(child)) this.empty.delete(child);
  }

  /** Not within a turn in which a client may have come, see `afterTurn`. */
  private endOldest(count: number): void {
    for (const child of [...this.empty].slice(0, Math.max(0, count))) {
      this.empty.delete(child);
      this.end(child);
    }
  }

  private end(child: Child): void {
    const { server, parent, namespace } = child;
    this.children.delete(child);
    parent.children.delete(namespace);
    if (server._nsps.get(namespace.name) === namespace) server._nsps.delete(namespace.name);
    void this.close(namespace);
  }

  private async close({ adapter }: Namespace): Promise<void> {
    try {
      await adapter.close();
    } catch (error) {
      this.deps.report(error);
    }
  }
}

/** Never, where this version of Socket.IO does not say who is connecting: then it stays. */
function isEmpty({ namespace, internals }: Child): boolean {
  return namespace.sockets.size === 0 && internals._preConnectSockets?.size === 0;
}

/** A CONNECT that has found its namespace is among the sockets of that by then: Socket.IO needs some promises for it. */
function afterTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function tooMany(): RealtimeError {
  return new RealtimeError('UNAVAILABLE', 'Too many namespaces', { retryAfterMs: RETRY_AFTER_MS });
}

function patternOf({ server, parent }: Child): string {
  for (const [pattern, one] of server.parentNamespacesFromRegExp) if (one === parent) return String(pattern);
  return 'function';
}

function internalsOf(server: Server): ServerInternals {
  return server as unknown as ServerInternals;
}
