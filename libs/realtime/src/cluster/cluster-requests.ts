import type { Clock } from '../core/clock.js';
import { randomId, type NodeId } from '../core/ids.js';
import type { Lifecycle } from '../core/lifecycle.js';
import { REQUESTS_CHANNEL, answersChannel } from './channels.js';
import type { ClusterBus } from './cluster-bus.js';
import type { NodeRecord } from './node-leases.js';
import { parseAnswer, parseRequest, type AnswerMessage, type RequestMessage } from './request-messages.js';

export interface ClusterRequestsOptions {
  bus: ClusterBus;
  clock: Clock;
  nodeId: NodeId;
  /** Who is asked: usually the node registry. */
  nodes: { alive(): Promise<readonly NodeRecord[]>; readonly known: readonly NodeRecord[] };
  /** Milliseconds to wait for the others' answers. Default 1 000. */
  timeoutMs?: number | undefined;
  onError(error: unknown): void;
}

export interface ClusterAnswers {
  readonly answers: readonly { readonly nodeId: NodeId; readonly value: unknown }[];
  /** Alive nodes that did not answer in time, or whose handler failed. */
  readonly missing: readonly NodeId[];
}

export type RequestHandler = (payload: unknown, from: NodeId) => unknown;

interface Question {
  readonly answers: Map<NodeId, unknown>;
  readonly failed: Set<NodeId>;
  expected: readonly NodeRecord[] | undefined;
  /** Nobody else was asked: waiting would not bring an answer. */
  isUnsent: boolean;
  check(): unknown;
}

/**
 * Questions to all nodes with a deadline and partial answers. Refuses to wait for a dead or silent node longer than that,
 * and never rejects: with Redis away this node alone answers and the others are `missing`.
 */
export class ClusterRequests implements Lifecycle {
  readonly #options: ClusterRequestsOptions;
  readonly #handlers = new Map<string, RequestHandler>();
  readonly #questions = new Map<string, Question>();
  #opening: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ClusterRequestsOptions) {
    this.#options = options;
  }

  /** Resolves when this node can be asked. Rejects with `UNAVAILABLE` if the bus is down; a later call tries again. */
  ready(): Promise<void> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const question of this.#questions.values()) {
      question.expected ??= [];
      question.check();
    }
    const { bus, nodeId } = this.#options;
    await Promise.allSettled([bus.unsubscribe(REQUESTS_CHANNEL), bus.unsubscribe(answersChannel(nodeId))]);
  }

  /** Answers questions of this kind; one handler for each. The value must be JSON. A rejection makes this node `missing`. */
  handle(kind: string, handler: RequestHandler): void {
    this.#handlers.set(kind, handler);
  }

  /** Asks every node, this one too. Resolves when all alive ones have answered, at the latest after `deadlineMs` (default 1 000). */
  request(kind: string, payload: unknown, options: { deadlineMs?: number } = {}): Promise<ClusterAnswers> {
    const { clock, nodes, nodeId, bus } = this.#options;
    const id = randomId(9);
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        this.#questions.delete(id);
        resolve(toAnswers(question, question.expected ?? nodes.known));
      };
      const cancel = clock.after(options.deadlineMs ?? this.#options.timeoutMs ?? 1_000, finish);
      const question: Question = {
        answers: new Map(),
        failed: new Set(),
        expected: undefined,
        isUnsent: bus.state === 'down',
        check: () => (this.#isClosed || isAnswered(question, nodeId)) && finish(),
      };
      this.#questions.set(id, question);
      void this.#answerFor({ id, kind, from: nodeId, payload }).then((answer) => this.#take(answer));
      if (!question.isUnsent) {
        bus.publish(REQUESTS_CHANNEL, JSON.stringify({ id, kind, from: nodeId, payload })).catch((error: unknown) => {
          this.#options.onError(error);
          question.isUnsent = true;
          if (this.#questions.has(id)) question.check();
        });
      }
      void nodes.alive().then((alive) => {
        question.expected = alive;
        if (this.#questions.has(id)) question.check();
      });
    });
  }

  async #open(): Promise<void> {
    const { bus, nodeId } = this.#options;
    await Promise.all([
      bus.subscribe(REQUESTS_CHANNEL, (payload) => this.#receive(payload)),
      bus.subscribe(answersChannel(nodeId), (payload) => this.#take(parseAnswer(payload))),
    ]);
  }

  #receive(payload: string): void {
    const request = parseRequest(payload);
    if (request === undefined) return this.#options.onError(new Error('ignored a malformed request from the cluster'));
    if (this.#isClosed || request.from === this.#options.nodeId) return;
    void this.#answerFor(request)
      .then((answer) => this.#options.bus.publish(answersChannel(request.from), JSON.stringify(answer)))
      .catch((error: unknown) => this.#options.onError(error));
  }

  async #answerFor({ id, kind, from, payload }: RequestMessage): Promise<AnswerMessage> {
    const { nodeId } = this.#options;
    const handler = this.#handlers.get(kind);
    if (handler === undefined) return { id, nodeId, isOk: false };
    try {
      return { id, nodeId, isOk: true, value: await handler(payload, from) };
    } catch (error) {
      this.#options.onError(error);
      return { id, nodeId, isOk: false };
    }
  }

  #take(answer: AnswerMessage | undefined): void {
    const question = answer === undefined ? undefined : this.#questions.get(answer.id);
    if (answer === undefined || question === undefined) return;
    if (answer.isOk) question.answers.set(answer.nodeId, answer.value);
    else question.failed.add(answer.nodeId);
    question.check();
  }
}

function isAnswered({ answers, failed, expected, isUnsent }: Question, self: NodeId): boolean {
  const isHeard = (nodeId: NodeId): boolean => answers.has(nodeId) || failed.has(nodeId);
  if (!isHeard(self)) return false;
  return isUnsent || (expected?.every(({ nodeId }) => isHeard(nodeId)) ?? false);
}

function toAnswers(question: Question, expected: readonly NodeRecord[]): ClusterAnswers {
  const nodeIds = new Set([...expected.map(({ nodeId }) => nodeId), ...question.failed]);
  return {
    answers: [...question.answers].map(([nodeId, value]) => ({ nodeId, value })),
    missing: [...nodeIds].filter((nodeId) => !question.answers.has(nodeId)),
  };
}
