import type { StockClient } from '../support/inbox.js';

/** A client that sends all the time: what it asked, and what it was answered. */
export class Traffic implements Disposable {
  sent = 0;
  readonly answers: unknown[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor({ socket }: StockClient, room: string, everyMs: number) {
    this.timer = setInterval(() => {
      this.sent += 1;
      socket.emit('message.send', { room, text: `traffic ${this.sent}` }, (answer: unknown) =>
        this.answers.push(answer),
      );
    }, everyMs);
  }

  /** Codes of the answers that were errors, each once. */
  get codes(): string[] {
    const codes = this.answers.map((answer) => (answer as { error?: { code: string } }).error?.code);
    return [...new Set(codes.filter((code) => code !== undefined))];
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }
}
