import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { pinned, type Share } from './cores.js';

export interface ChildOptions {
  readonly share: Share;
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Longer than any single step of a benchmark takes, in milliseconds. */
const DEADLINE_MS = 180_000;
const END_WITHIN_MS = 3_000;

export class ChildEndedError extends Error {}

/** A process of the benchmark: it gets commands, one at a time, and answers each with one report. */
export class Child<Command extends object, Report extends { readonly kind: string }> implements AsyncDisposable {
  private readonly process: ChildProcess;

  constructor(path: string, { share, execArgv = [], env = {} }: ChildOptions) {
    const [program, ...args] = pinned(share, process.execPath);
    this.process = fork(fileURLToPath(new URL(`../${path}`, import.meta.url)), {
      execPath: program,
      execArgv: [...args, '--enable-source-maps', ...execArgv],
      env: { ...process.env, ...env },
    });
  }

  /** Rejects if the process ends first, or says nothing for three minutes. */
  async next<Kind extends Report['kind']>(kind: Kind): Promise<Extract<Report, { kind: Kind }>> {
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(DEADLINE_MS)]);
    const ended = once(this.process, 'exit', { signal }).then(([code]) => {
      throw new ChildEndedError(`The process ended with ${String(code)} instead of reporting '${kind}'`);
    });
    try {
      for (;;) {
        const [report] = (await Promise.race([once(this.process, 'message', { signal }), ended])) as [Report];
        if (report.kind === kind) return report as Extract<Report, { kind: Kind }>;
      }
    } finally {
      ended.catch(() => undefined);
      abort.abort();
    }
  }

  ask<Kind extends Report['kind']>(command: Command, kind: Kind): Promise<Extract<Report, { kind: Kind }>> {
    const answer = this.next(kind);
    this.process.send(command);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exit = once(this.process, 'exit');
    if (this.process.connected) this.process.disconnect();
    const force = setTimeout(() => this.process.kill('SIGKILL'), END_WITHIN_MS);
    await exit;
    clearTimeout(force);
  }
}
