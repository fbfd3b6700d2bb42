import type { ErrorAck, WireError } from 'nestjs-realtime-protocol';
import type { Waiting } from './in-flight.js';

export type AckFunction = (...values: unknown[]) => void;
type TaggedAck = AckFunction & { [MESSAGE]?: Message };

/** On the ack function that Nest passes around: leads back to its message. */
const MESSAGE = Symbol('nestjs-realtime:message');

/**
 * One message of a client and its one answer. Invariant: the client's ack is called at most once, whoever calls it;
 * a message that nobody expects an answer to never sends one.
 */
export class Message implements Waiting {
  /** What a guard, pipe, interceptor or handler threw, seen before the app's own filters; Nest then resolves to undefined. */
  failure: { readonly exception: unknown } | undefined;
  /** Told when the connection ended before an Observable did: nobody will answer. Undefined: nobody wants to know. */
  onAbandoned: (() => void) | undefined;
  /** Handed to Nest in place of the client's function, so that every answer passes here. */
  readonly ack: AckFunction | undefined;
  /** Its neighbours among the messages that wait for an answer. */
  older: Waiting | undefined = undefined;
  newer: Waiting | undefined = undefined;
  private isAnswered: boolean;

  constructor(
    readonly event: string,
    clientAck: AckFunction | undefined,
    readonly receivedAt: number,
    private readonly onAnswer: (message: Message) => void,
  ) {
    this.isAnswered = clientAck === undefined;
    if (!clientAck) return;
    this.ack = (...values) => {
      if (this.isAnswered) return;
      this.isAnswered = true;
      try {
        clientAck(...values);
      } catch (error) {
        // What cannot be encoded has not been sent: the error may still be the answer.
        this.isAnswered = false;
        throw error;
      }
      this.onAnswer(this);
    };
    (this.ack as TaggedAck)[MESSAGE] = this;
  }

  static find(args: readonly unknown[]): Message | undefined {
    for (const arg of args) {
      const message = typeof arg === 'function' ? (arg as TaggedAck)[MESSAGE] : undefined;
      if (message) return message;
    }
    return undefined;
  }

  get expectsAnswer(): boolean {
    return !this.isAnswered;
  }

  answer(value: unknown): void {
    this.ack?.(value === undefined ? null : value);
  }

  refuse(error: WireError): void {
    this.ack?.({ error } satisfies ErrorAck);
  }
}
