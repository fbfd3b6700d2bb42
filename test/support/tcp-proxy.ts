import { once } from 'node:events';
import net from 'node:net';

/**
 * A TCP link that a test can break, in front of Redis or of our server. Bytes keep their order; bytes that a stalled or
 * delayed link has swallowed are gone, so healing resets the connections that lost some.
 */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections through it now. */
  readonly connections: number;
  /** Resets every connection and refuses new ones until `heal()`. */
  cut(): void;
  /**
   * Half-open: connections stay (new ones too), bytes vanish in both directions, no RST. `subscribers`: only those Redis
   * connections that have ever subscribed to anything.
   */
  stall(which?: 'all' | 'subscribers'): void;
  /** Bytes take `ms` longer in each direction. */
  delay(ms: number): void;
  /** As new. Connections that lost bytes are reset, the others go on. */
  heal(): void;
}

export interface TcpProxyTarget {
  port: number;
  host?: string;
}

type Mode = 'open' | 'cut' | 'stalled' | 'stalled-subscribers';

export async function startTcpProxy(target: TcpProxyTarget): Promise<TcpProxy> {
  const proxy = new FaultProxy(target);
  await proxy.listen();
  return proxy;
}

class FaultProxy implements TcpProxy {
  port = 0;
  readonly #server: net.Server;
  readonly #links = new Set<Link>();
  #mode: Mode = 'open';
  #delayMs = 0;

  constructor(target: TcpProxyTarget) {
    this.#server = net.createServer((inbound) => {
      if (this.#mode === 'cut') return void inbound.resetAndDestroy();
      const outbound = net.connect(target.port, target.host ?? '127.0.0.1');
      const link = new Link(inbound, outbound, {
        isStalled: (isSubscriber) => this.#mode === 'stalled' || (this.#mode === 'stalled-subscribers' && isSubscriber),
        delayMs: () => this.#delayMs,
      });
      this.#links.add(link);
      link.onClose(() => this.#links.delete(link));
    });
  }

  get connections(): number {
    return this.#links.size;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as net.AddressInfo).port;
  }

  cut(): void {
    this.#mode = 'cut';
    for (const link of this.#links) link.reset();
  }

  stall(which: 'all' | 'subscribers' = 'all'): void {
    this.#mode = which === 'all' ? 'stalled' : 'stalled-subscribers';
  }

  delay(ms: number): void {
    this.#delayMs = ms;
  }

  heal(): void {
    this.#mode = 'open';
    this.#delayMs = 0;
    for (const link of this.#links) if (link.hasLost) link.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }
}

interface LinkWeather {
  isStalled(isSubscriber: boolean): boolean;
  delayMs(): number;
}

/** The command as RESP sends it: a bulk string of its own. */
const SUBSCRIBE = /\r\n[ps]?subscribe\r\n/i;
const LONGEST = '\r\npsubscribe\r\n'.length;

class Link {
  hasLost = false;
  private isSubscriber = false;
  /** The end of what came before: a command may arrive in two pieces. */
  private tail = '';

  constructor(
    private readonly inbound: net.Socket,
    private readonly outbound: net.Socket,
    private readonly weather: LinkWeather,
  ) {
    inbound.setNoDelay(true);
    outbound.setNoDelay(true);
    inbound.on('data', (chunk: Buffer) => this.#look(chunk));
    this.#carry(inbound, outbound);
    this.#carry(outbound, inbound);
  }

  onClose(listener: () => void): void {
    this.inbound.once('close', listener);
  }

  reset(): void {
    this.inbound.resetAndDestroy();
    this.outbound.resetAndDestroy();
  }

  #look(chunk: Buffer): void {
    if (this.isSubscriber) return;
    const seen = this.tail + chunk.toString('latin1');
    this.isSubscriber = SUBSCRIBE.test(seen);
    this.tail = seen.slice(-LONGEST);
  }

  #carry(from: net.Socket, to: net.Socket): void {
    // One chain for each direction: a shorter delay set later must not let bytes overtake.
    let order: Promise<void> = Promise.resolve();
    from.on('data', (chunk) => {
      const delayMs = this.weather.delayMs();
      order = order.then(async () => {
        if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
        if (this.weather.isStalled(this.isSubscriber)) this.hasLost = true;
        else if (!to.destroyed) to.write(chunk);
      });
    });
    from.once('end', () => {
      order = order.then(() => {
        if (this.weather.isStalled(this.isSubscriber)) this.hasLost = true;
        else to.end();
      });
    });
    from.once('error', () => to.destroy());
    from.once('close', () => {
      if (!this.weather.isStalled(this.isSubscriber)) to.destroy();
    });
  }
}
