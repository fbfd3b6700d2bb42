import { randomBytes } from 'node:crypto';
import type { ClusterNode } from '../../support/cluster.js';
import { GENEROUS_MS } from '../../support/eventually.js';
import { connectedClient, type StockClient } from '../../support/inbox.js';
import { lasting } from '../../support/lasting.js';
import { mintToken } from '../../support/tokens.js';

export interface SentRequest {
  readonly id: string;
  readonly answer: unknown;
  /** A connection ended while it waited for its answer. */
  readonly wasInterrupted: boolean;
}

/** Reports what happened to one try: an answer, or that none will come. */
type Outcome = { readonly answer: unknown } | 'lost';

/** Milliseconds between a refusal and the next try: the client's own, far shorter than a real one's. */
const BACKOFF_MS = 100;

/** A client that sends each request, with its id, until it is answered: on whatever node lives. */
export class Requester implements AsyncDisposable {
  private client: StockClient | undefined;

  constructor(
    private readonly user: string,
    /** A node to connect to, after the last one was lost. */
    private readonly nextNode: () => ClusterNode,
  ) {}

  async request(event: string, data: unknown): Promise<SentRequest> {
    const id = randomBytes(16).toString('base64url');
    let wasInterrupted = false;
    let outcome: Outcome | undefined;
    const endsAt = performance.now() + GENEROUS_MS;
    for (let attempt = 1; performance.now() < endsAt; attempt += 1) {
      outcome = await this.attempt(event, data, { $rt: { id, attempt } });
      if (outcome === 'lost') wasInterrupted = true;
      else if (!isRetryable(outcome.answer)) return { id, answer: outcome.answer, wasInterrupted };
      else await lasting(BACKOFF_MS);
    }
    throw new Error(`request ${id} of ${this.user} was not answered, last with ${JSON.stringify(outcome)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client?.[Symbol.asyncDispose]();
  }

  private async attempt(event: string, data: unknown, envelope: unknown): Promise<Outcome> {
    const socket = (await this.connected())?.socket;
    if (!socket) return { answer: { error: { retryable: true } } };
    return new Promise((resolve) => {
      const onLost = (): void => resolve('lost');
      socket.once('disconnect', onLost);
      socket.emit(event, data, envelope, (answer: unknown) => {
        socket.off('disconnect', onLost);
        resolve({ answer });
      });
    });
  }

  private async connected(): Promise<StockClient | undefined> {
    if (this.client?.socket.connected) return this.client;
    await this.client?.[Symbol.asyncDispose]();
    const auth = { token: mintToken(this.user), rt: { v: 1, device: 'phone' } };
    this.client = await connectedClient(`${this.nextNode().url}/requests`, { auth }).catch(() => undefined);
    return this.client;
  }
}

function isRetryable(answer: unknown): boolean {
  return (answer as { error?: { retryable?: boolean } } | null)?.error?.retryable === true;
}
