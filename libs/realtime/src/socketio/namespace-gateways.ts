import type { Type } from '@nestjs/common';
import type { Namespace } from 'socket.io';

// Which gateways serve a namespace, and whether they let in clients without a token.
// Invariant: nobody but a gateway that serves a namespace opens it. A namespace that is declared as a string belongs to the
// gateways that declare it; one that a client's CONNECT made, to the gateway whose pattern made it; any other to nobody.

/** Nest's metadata keys; pinned in test/contract/nest. */
const GATEWAY_OPTIONS = 'websockets:gateway_options';
const GATEWAY_PORT = 'port';
/** Set by `@AllowAnonymous()`. */
const ALLOW_ANONYMOUS = 'realtime:allow-anonymous';

/** Which server of the app: the same namespace on another port or path is another one. */
export interface ServerAddress {
  /** 0: the app's http server. */
  readonly port: number;
  /** Of the gateway's decorator; undefined: the module's. */
  readonly path: string | undefined;
}

type Pattern = RegExp | ((...args: never[]) => unknown);

interface DeclaredGateway {
  readonly name: string;
  /** A string begins with a slash. */
  readonly namespace: string | Pattern;
  readonly server: ServerAddress;
  /** Carries `@AllowAnonymous()` itself: a subclass does not inherit it. */
  readonly isOpen: boolean;
}

/** Socket.IO's side of a gateway's pattern. */
interface Parent {
  readonly children: ReadonlySet<unknown>;
}

interface BoundPattern {
  readonly parent: Parent;
  readonly pattern: Pattern;
  readonly server: ServerAddress;
  /** Nest has it; otherwise it was made for a gateway that Nest has not come to yet. */
  isTaken: boolean;
}

export class NamespaceGateways {
  private readonly declared: readonly DeclaredGateway[];
  private readonly parents: BoundPattern[] = [];
  /** Asked at each connect. */
  private readonly decided = new WeakMap<Namespace, boolean>();

  constructor(gateways: readonly Type[]) {
    this.declared = gateways.map(read);
  }

  /**
   * Makes what has to be there before Nest asks for it; `make` is Socket.IO's `of`.
   * - Of patterns that match a name the first has it, and Nest 12 binds the first gateway last. If some are open and some are
   *   not, they are made in the order of providers.
   * - A namespace that is made after a pattern that matches it is the pattern's, too: then strangers whom its own gateway
   *   admits would reach one that admits none. Such a namespace is made first.
   */
  prepare(server: ServerAddress, make: (namespace: string | Pattern) => unknown): void {
    for (const { pattern, name, own } of this.overlaps())
      if (isSame(pattern.server, server) && !pattern.isOpen && own.isOpen) make(name);
    const patterns = this.declared.filter((one) => typeof one.namespace !== 'string' && isSame(one.server, server));
    if (new Set(patterns.map(({ isOpen }) => isOpen)).size < 2) return;
    for (const { namespace } of patterns) this.bind(make(namespace), namespace as Pattern, server, false);
  }

  /** The parent namespace of a gateway's pattern, which `make` makes if it is not there yet. */
  parentOf<P>(pattern: Pattern, server: ServerAddress, make: () => P): P {
    const prepared = this.parents.find((one) => !one.isTaken && one.pattern === pattern && isSame(one.server, server));
    if (!prepared) return this.bind(make(), pattern, server, true);
    prepared.isTaken = true;
    return prepared.parent as P;
  }

  /** Whether the gateways that serve this namespace admit connections without a token. */
  admitsAnonymous(namespace: Namespace, server: ServerAddress): boolean {
    let isOpen = this.decided.get(namespace);
    if (isOpen === undefined) {
      isOpen = this.isOpened(namespace.name, server, ({ children }) => children.has(namespace));
      this.decided.set(namespace, isOpen);
    }
    return isOpen;
  }

  /** What `admitsAnonymous` would say of a namespace that is not there yet, and that this pattern's would make. */
  opensChild(name: string, parent: Parent, server: ServerAddress): boolean {
    return this.isOpened(name, server, (maker) => maker === parent);
  }

  /** Whether a gateway of this server declares it as a string. */
  declares(name: string, server: ServerAddress): boolean {
    return this.declaring(name, server).length > 0;
  }

  /** Namespaces that are declared as a string, the root included: what one transport may open. */
  staticNamespaces(): Set<string> {
    return new Set(this.declared.map(({ namespace }) => namespace).filter((name) => typeof name === 'string'));
  }

  /** Lines for the log: overlaps in which `@AllowAnonymous()` does not count for all. */
  warnings(): string[] {
    return this.overlaps().flatMap(({ pattern, name, own }) => {
      if (pattern.isOpen === own.isOpen) return [];
      const which = `${pattern.name} (namespace ${String(pattern.namespace)})`;
      if (pattern.isOpen)
        return `${which} carries @AllowAnonymous(), and ${own.name} does not: the pattern matches '${name}', which is ${own.name}'s, so clients without a token are refused there. Narrow the pattern, or mark ${own.name}, too.`;
      return `${own.name} carries @AllowAnonymous(), and ${which} does not: the pattern matches '${name}', and gets nothing from there, since it would get messages of clients without a token. Narrow the pattern, or mark ${pattern.name}, too.`;
    });
  }

  private declaring(name: string, server: ServerAddress): DeclaredGateway[] {
    return this.declared.filter((one) => one.namespace === name && isSame(one.server, server));
  }

  private isOpened(name: string, server: ServerAddress, isMaker: (parent: Parent) => boolean): boolean {
    const own = this.declaring(name, server);
    if (own.length > 0) return own.some(({ isOpen }) => isOpen);
    const maker = this.parents.find(({ parent }) => isMaker(parent));
    if (maker === undefined) return false;
    // Several share one pattern: Socket.IO gives the namespace to one of them, and nobody can tell to which.
    const sharing = this.declared.filter((one) => one.namespace === maker.pattern && isSame(one.server, server));
    return sharing.length > 0 && sharing.every(({ isOpen }) => isOpen);
  }

  private bind<P>(parent: P, pattern: Pattern, server: ServerAddress, isTaken: boolean): P {
    this.parents.push({ parent: parent as Parent, pattern, server, isTaken });
    return parent;
  }

  /** Patterns that match a declared namespace of the same server; `own` is open if one of its gateways is. */
  private overlaps(): { pattern: DeclaredGateway; name: string; own: DeclaredGateway }[] {
    return this.declared.flatMap((pattern) => {
      const { namespace } = pattern;
      if (!(namespace instanceof RegExp)) return [];
      return [...this.staticNamespaces()].flatMap((name) => {
        const gateways = this.declared.filter((one) => one.namespace === name && isSame(one.server, pattern.server));
        const own = gateways.find(({ isOpen }) => isOpen) ?? gateways[0];
        // Socket.IO makes the root itself: no pattern gets it.
        return own && name !== '/' && namespace.test(name) ? [{ pattern, name, own }] : [];
      });
    });
  }
}

function read(gateway: Type): DeclaredGateway {
  const options = (Reflect.getMetadata(GATEWAY_OPTIONS, gateway) ?? {}) as {
    namespace?: string | Pattern | null;
    path?: string;
  };
  const namespace = options.namespace ?? '/';
  return {
    name: gateway.name,
    namespace: typeof namespace === 'string' ? normalize(namespace) : namespace,
    server: { port: (Reflect.getMetadata(GATEWAY_PORT, gateway) as number | undefined) ?? 0, path: options.path },
    isOpen: Reflect.getOwnMetadata(ALLOW_ANONYMOUS, gateway) === true,
  };
}

function isSame(one: ServerAddress, other: ServerAddress): boolean {
  return one.port === other.port && one.path === other.path;
}

function normalize(namespace: string): string {
  return namespace.startsWith('/') ? namespace : `/${namespace}`;
}
