import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { eventually } from '../support/eventually.js';

/** After so many seconds out of sight Chromium runs a page's timers once in a minute; otherwise after five minutes. */
const THROTTLE_AFTER_S = 5;
const FLAGS = `--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --remote-debugging-port=0 --enable-features=IntensiveWakeUpThrottling:grace_period_seconds/${THROTTLE_AFTER_S}`;

/**
 * One tab in a Chromium of its own that can really be hidden: Playwright tells every page that it is being looked at
 * (focus emulation, no throttling of timers), and no session can take that back.
 */
export class HiddenTab implements AsyncDisposable {
  readonly #answers = new Map<number, (answer: unknown) => void>();
  #session: string | undefined;
  #target = '';
  #asked = 0;

  private constructor(
    private readonly browser: ChildProcess,
    private readonly profile: string,
    private readonly socket: WebSocket,
  ) {
    socket.on('message', (text: Buffer) => {
      const { id, result, error } = JSON.parse(text.toString()) as { id?: number; result?: unknown; error?: unknown };
      if (id !== undefined) this.#answers.get(id)?.(result ?? { error });
    });
  }

  static async open(url: string): Promise<HiddenTab> {
    const profile = await mkdtemp(join(tmpdir(), 'hidden-tab-'));
    const executable = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';
    const flags = [...FLAGS.split(' '), `--user-data-dir=${profile}`, 'about:blank'];
    const browser = spawn(executable, flags, { stdio: 'ignore' });
    const address = await eventually(async () => {
      const [port, path] = (await readFile(join(profile, 'DevToolsActivePort'), 'utf8')).split('\n');
      if (!port || !path) throw new Error('Chromium has not said where it listens');
      return `ws://127.0.0.1:${port}${path}`;
    });
    const socket = new WebSocket(address);
    await once(socket, 'open');
    const tab = new HiddenTab(browser, profile, socket);
    tab.#target = (await tab.#ask<{ targetId: string }>('Target.createTarget', { url })).targetId;
    const attach = { targetId: tab.#target, flatten: true };
    tab.#session = (await tab.#ask<{ sessionId: string }>('Target.attachToTarget', attach)).sessionId;
    return tab;
  }

  /** The value of an expression in the page. */
  async read<T>(expression: string): Promise<T> {
    const asked = { expression, returnByValue: true, awaitPromise: true };
    const { result } = await this.#ask<{ result?: { value?: T; description?: string } }>('Runtime.evaluate', asked);
    if (result?.description !== undefined && result.value === undefined) throw new Error(result.description);
    return result?.value as T;
  }

  hide(): Promise<void> {
    return this.#setWindow('minimized');
  }

  show(): Promise<void> {
    return this.#setWindow('normal');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.browser, 'exit');
    this.socket.terminate();
    this.browser.kill('SIGKILL');
    await exited;
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  async #setWindow(windowState: 'minimized' | 'normal'): Promise<void> {
    const { windowId } = await this.#ask<{ windowId: number }>('Browser.getWindowForTarget', {
      targetId: this.#target,
    });
    await this.#ask('Browser.setWindowBounds', { windowId, bounds: { windowState } });
  }

  #ask<T>(method: string, params: object): Promise<T> {
    const id = (this.#asked += 1);
    const sessionId = method.startsWith('Runtime.') ? this.#session : undefined;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve as (answer: unknown) => void);
      this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
  }
}
