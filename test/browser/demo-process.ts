import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GENEROUS_MS } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';

const MAIN = join(import.meta.dirname, '../../dist/demo/main.js');

/** The built demo as people start it, in memory, on a free port that it keeps over restarts. */
export class DemoProcess implements AsyncDisposable {
  #child: ChildProcess | undefined;
  #url = '';

  /** With `env` on top of the settings of a test. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<DemoProcess> {
    const demo = new DemoProcess(env);
    await demo.start();
    return demo;
  }

  private constructor(private readonly env: Readonly<Record<string, string>>) {}

  get url(): string {
    return this.#url;
  }

  async start(): Promise<void> {
    const port = this.#url === '' ? String(await freePort()) : new URL(this.#url).port;
    const { NODE_OPTIONS: _, REDIS_URL: __, JWT_SECRET: ___, ...env } = process.env;
    const child = spawn(process.execPath, [MAIN], {
      env: { ...env, PORT: port, NODE_NAME: 'browser-test', NO_COLOR: '1', ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#url = await addressOf(child);
  }

  /** SIGTERM, as a deployment does. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** What the demo prints when it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  const output: string[] = [];
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`${why}:\n${output.join('\n')}`));
    const timer = setTimeout(() => fail('the demo did not start in time'), GENEROUS_MS);
    child.once('exit', (code) => fail(`the demo ended with ${code}`));
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        output.push(line);
        const found = /Open (http:\S+) in two windows/.exec(line);
        if (!found?.[1]) return;
        clearTimeout(timer);
        resolve(found[1]);
      });
    }
  });
}
