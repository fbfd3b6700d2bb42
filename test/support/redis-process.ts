import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { GENEROUS_MS } from './eventually.js';

/**
 * One process of redis-server under a test's control: SIGKILL, SIGSTOP, a new start with the same arguments. Ports are
 * looked for, never fixed: a start that finds its port taken rejects with `PortTakenError`, and its caller tries another.
 */
export class RedisProcess implements AsyncDisposable {
  #child: ChildProcess | undefined;
  #isPaused = false;

  constructor(
    readonly port: number,
    private readonly args: readonly string[],
  ) {}

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** Whether the test lets it: it was neither killed nor paused. However late it is, an answer comes. */
  get canAnswer(): boolean {
    return this.isRunning && !this.#isPaused;
  }

  async start(): Promise<void> {
    this.#child ??= await launch(this.port, this.args);
  }

  /** SIGKILL: every connection breaks, nothing is saved. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#isPaused = false;
    if (child === undefined) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** SIGSTOP: connections stay open and say nothing. */
  pause(): void {
    this.#isPaused = true;
    this.#child?.kill('SIGSTOP');
  }

  /** SIGCONT. */
  resume(): void {
    this.#isPaused = false;
    this.#child?.kill('SIGCONT');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

export class PortTakenError extends Error {}

const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

async function launch(port: number, args: readonly string[]): Promise<ChildProcess> {
  const binary = process.env['REDIS_SERVER'] ?? 'redis-server';
  const child = spawn(binary, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let output = '';
  const collect = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-4_000));
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);

  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new Error(`cannot run ${binary}: ${error.message}`)));
    child.once('exit', () => {
      const isTaken = /address already in use|Failed listening/i.test(output);
      reject(isTaken ? new PortTakenError(output) : new Error(`redis-server ended at once:\n${output}`));
    });
  });
  failed.catch(() => undefined);
  await Promise.race([failed, answersPing(port, () => output)]);
  child.removeAllListeners('error');
  child.on('error', () => undefined);
  return child;
}

async function answersPing(port: number, output: () => string): Promise<void> {
  const endsAt = performance.now() + GENEROUS_MS;
  while (!(await ping(port))) {
    if (performance.now() > endsAt) {
      throw new Error(
        `redis-server on port ${port} did not answer PING within ${GENEROUS_MS} ms; it said:\n${output()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Any word of Redis counts: a server with a password refuses, one behind TLS closes the connection. */
function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(GENEROUS_MS, () => socket.destroy());
    socket.once('data', (reply) => {
      resolve(/^(\+PONG|-NOAUTH)/.test(reply.toString()));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
