import { createRealtimeClient, type RealtimeClient, type SettledRequest } from 'nestjs-realtime-client';
import type { ApplyAnswer, ApplyRequest } from '../../apps/requests.gateway.js';
import { mintToken } from '../../support/tokens.js';
import type { RequestEnd, SentRequest } from './history.js';

/** One user with our client, and the history of its requests: when each went out, to which node, and how it ended. */
export class Sender implements Disposable {
  readonly asked: string[] = [];
  readonly states: string[] = [];
  private readonly client: RealtimeClient;
  private readonly tries = new Map<string, { at: number; node: string }[]>();
  private readonly ended = new Map<string, { lane: string; n: number; ends: RequestEnd[] }>();

  constructor(
    url: string,
    readonly user: string,
  ) {
    this.client = createRealtimeClient(`${url}/requests`, {
      getToken: () => mintToken(user),
      debug: (message, details) => this.note(message, details),
    });
    this.client.outbox.on('settled', (request) => this.settle(request));
  }

  /** Resolves when it is settled, whatever way. */
  async send(request: ApplyRequest): Promise<void> {
    const { lane = '', n } = request;
    this.asked.push(`${lane} ${n}`);
    await this.client.request('apply', request, { idempotent: true, offline: 'queue', lane }).catch(() => undefined);
  }

  get sent(): SentRequest[] {
    return [...this.ended].map(([id, request]) => ({ id, ...request, tries: this.tries.get(id) ?? [] }));
  }

  /** Tries after the first of each request. */
  get resent(): number {
    return this.sent.reduce((sum, { tries }) => sum + tries.length - 1, 0);
  }

  /** What is not settled, and the connection that it waits for. */
  get waiting(): string[] {
    const { outbox, state } = this.client;
    return outbox.pending.map(({ data, isInFlight }) => {
      const { lane = '', n } = data as ApplyRequest;
      return `${lane} ${n} (${state}, ${isInFlight ? 'sent' : 'not sent'})`;
    });
  }

  /** Tries now instead of after its backoff, as a page does that is looked at again. */
  hurry(): void {
    if (this.client.state === 'waiting') this.client.connect();
  }

  [Symbol.dispose](): void {
    this.client.close();
  }

  private note(message: string, details: unknown): void {
    if (message.startsWith('connection: ')) this.states.push(message.slice('connection: '.length));
    if (message !== 'outbox: send') return;
    const { id } = details as { id: string };
    this.tries.set(id, [...(this.tries.get(id) ?? []), { at: Date.now(), node: this.client.hello?.node ?? '' }]);
  }

  private settle({ id, data, answer, error }: SettledRequest): void {
    const { lane = '', n } = data as ApplyRequest;
    const entry = this.ended.get(id) ?? { lane, n, ends: [] };
    entry.ends.push({ at: Date.now(), code: error?.code, answer: answer as ApplyAnswer | undefined });
    this.ended.set(id, entry);
  }
}
