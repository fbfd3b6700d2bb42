import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ManyCoresSettings } from '../apps/many-cores.js';
import { testOptions } from './app.js';
import { Inbox, type Received } from './inbox.js';

const APP = join(import.meta.dirname, '../../dist/test-apps/many-cores.js');

const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export type ManyCoresOptions = Partial<Omit<ManyCoresSettings, 'realtime'>> & {
  readonly realtime?: Partial<ManyCoresSettings['realtime']>;
};

/** A program of several processes on one port, by what it prints: `test/apps/many-cores.ts`, or another one of its kind. */
export class ManyCores implements AsyncDisposable {
  /** Each line that the primary and the workers print is an event. */
  readonly lines = new Inbox();
  readonly pid: number | undefined;
  /** Exit code of the primary, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  /** Resolves when the primary and all workers are gone: they share its output. */
  readonly gone: Promise<unknown>;
  private readonly child: ChildProcess;

  static app({ cluster, realtime = {}, mishap }: ManyCoresOptions): ManyCores {
    const settings: ManyCoresSettings = {
      cluster: { port: 0, host: '127.0.0.1', workers: 2, ...cluster },
      realtime: testOptions({ drain: { windowMs: 100 }, ...realtime }),
      ...(mishap === undefined ? {} : { mishap }),
    };
    return new ManyCores(APP, { REALTIME_TEST_CORES: JSON.stringify(settings) });
  }

  constructor(script: string, env: Readonly<Record<string, string>>) {
    const child = spawn(process.execPath, [script], {
      env: { PATH: process.env['PATH'], NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    this.pid = child.pid;
    running.add(child);
    this.exited = once(child, 'exit').then(([code, signal]: unknown[]) => (signal ?? code) as number | string);
    this.gone = once(child, 'close').finally(() => running.delete(child));
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
  }

  /** The next line that fits, as its groups. */
  async says(pattern: RegExp): Promise<string[]> {
    const fits = ({ event }: Received): boolean => pattern.test(event);
    const gone = this.gone.then(() => {
      const line = this.lines.unread.find(fits);
      if (line) return line;
      throw new Error(`It ended without a line like ${pattern}:\n${this.output}`);
    });
    const { event } = await Promise.race([this.nextLine(pattern, fits), gone]);
    return pattern.exec(event)?.slice(1) ?? [];
  }

  private nextLine(pattern: RegExp, fits: (received: Received) => boolean): Promise<Received> {
    return this.lines.next(fits).catch(() => {
      throw new Error(`No line like ${pattern} came:\n${this.output}`);
    });
  }

  /** Process ids of the workers, when `count` more of them serve. */
  async workers(count: number): Promise<number[]> {
    const pids: number[] = [];
    while (pids.length < count) pids.push(Number((await this.says(/worker \d+ \((\d+)\) serves/))[0]));
    return pids;
  }

  get output(): string {
    return this.lines.all.map(({ event }) => event).join('\n');
  }

  /** Of the primary alone. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.signal('SIGTERM');
    await this.gone;
  }
}
