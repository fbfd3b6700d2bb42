import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonWebKey, KeyObject } from 'node:crypto';

type Answer = (response: ServerResponse) => void;

/** A real JWKS endpoint on a port of its own, whose keys and behaviour a test changes while it runs. */
export class JwksServer implements AsyncDisposable {
  /** Every request counts, whatever it asked for. */
  readonly requests: IncomingMessage[] = [];
  private keys: JsonWebKey[] = [];
  private answer: Answer = (response) => this.sendKeys(response);

  private constructor(
    private readonly server: Server,
    readonly origin: string,
  ) {}

  static async start(): Promise<JwksServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const jwks = new JwksServer(server, `http://127.0.0.1:${port}`);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      jwks.requests.push(request);
      jwks.answer(response);
    });
    return jwks;
  }

  get uri(): string {
    return `${this.origin}/.well-known/jwks.json`;
  }

  /** Lists exactly these public keys from now on. */
  publish(keys: Record<string, KeyObject>): void {
    this.keys = Object.entries(keys).map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' }));
  }

  publishRaw(keys: JsonWebKey[]): void {
    this.keys = keys;
  }

  /** Answers as usual again. */
  heal(): void {
    this.answer = (response) => this.sendKeys(response);
  }

  answerWith(answer: Answer): void {
    this.answer = answer;
  }

  /** Takes requests and never answers them. */
  hang(): void {
    this.answer = () => undefined;
  }

  /** Resolves when the next request has arrived. */
  async nextRequest(): Promise<void> {
    await once(this.server, 'request');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    const closed = once(this.server, 'close');
    this.server.close();
    await closed;
  }

  private sendKeys(response: ServerResponse): void {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: this.keys }));
  }
}
