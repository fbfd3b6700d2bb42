import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { GENEROUS_MS, eventually } from '../support/eventually.js';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const ARTEFACTS = join(import.meta.dirname, '../../test-artefacts');
const FLAGS =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
/** What the page says where messages may be missing. */
export const GAP = 'Some messages may be missing here';

export interface Look {
  readonly width: number;
  readonly height: number;
  readonly scheme: 'light' | 'dark';
}

/** With a fresh profile in a temporary folder. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: FLAGS.split(' '),
    timeout: GENEROUS_MS,
  });
}

/** One browser window of one person on the demo page. */
export class DemoWindow {
  /** Uncaught errors of the page's scripts. */
  readonly errors: string[] = [];
  /** Its time is the test's, and stays so. */
  hasOwnClock = false;

  private constructor(
    readonly page: Page,
    private look: Look,
  ) {
    page.setDefaultTimeout(GENEROUS_MS);
    page.on('pageerror', (error) => this.errors.push(error.message));
  }

  static async open(browser: Browser, url: string, look: Look): Promise<DemoWindow> {
    const { width, height, scheme } = look;
    return DemoWindow.openIn(await browser.newContext({ viewport: { width, height }, colorScheme: scheme }), url, look);
  }

  /** One more tab of the same person. */
  static async openIn(context: BrowserContext, url: string, look: Look): Promise<DemoWindow> {
    const window = new DemoWindow(await context.newPage(), look);
    await window.page.goto(url);
    return window;
  }

  /** As a new person finds the page, in a browser that runs: to start one more window is seconds of CPU. */
  async startAnew(url: string, look = this.look): Promise<void> {
    this.look = look;
    await this.page.unrouteAll();
    await this.page.context().setOffline(false);
    await this.page.setViewportSize({ width: look.width, height: look.height });
    await this.page.emulateMedia({ colorScheme: look.scheme });
    await this.page.evaluate(() => sessionStorage.clear());
    // A page may store something when it is left.
    await this.page.goto('about:blank');
    const session = await this.page.context().newCDPSession(this.page);
    await session.send('Storage.clearDataForOrigin', { origin: new URL(url).origin, storageTypes: 'all' });
    await session.detach();
    await this.page.goto(url);
  }

  async signIn(name: string, room: string): Promise<void> {
    await this.page.getByLabel('Your name').fill(name);
    await this.page.getByRole('textbox', { name: 'Room' }).fill(room);
    await this.page.getByRole('button', { name: 'Join' }).click();
    await this.sees('Connected');
  }

  /** From the next page on. */
  async takeClock(): Promise<void> {
    this.hasOwnClock = true;
    await this.page.clock.install();
  }

  async say(text: string): Promise<void> {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.keyboard.press('Enter');
  }

  async sees(text: string): Promise<void> {
    await this.page.getByText(text, { exact: true }).last().waitFor();
  }

  /** Connected to a server that began anew, and in its room again: it says that it cannot know what was missed. */
  async isBackAfterRestart(): Promise<void> {
    await this.sees('Connected');
    await this.sees(GAP);
  }

  /** The same without the client's backoff, which may be at eight seconds: the page hears that there is a network. */
  async hurriesBackAfterRestart(): Promise<void> {
    await eventually(async () => {
      const state = await this.page.evaluate(() => {
        const now = document.querySelector<HTMLElement>('#state')?.dataset['state'];
        if (now === 'waiting') dispatchEvent(new Event('online'));
        return now;
      });
      if (state !== 'connected') throw new Error(`the page is ${state}`);
    });
    await this.isBackAfterRestart();
  }

  /** The list of people, exactly. */
  async seesPeople(names: readonly string[]): Promise<void> {
    const wanted = [...names].sort().join();
    await this.page.waitForFunction((expected) => {
      const people = [...document.querySelectorAll('#people .name')].map(({ textContent }) => textContent);
      return people.sort().join() === expected;
    }, wanted);
  }

  /** Exactly these messages, from whomever, in this order: none twice. */
  async hasMessages(texts: readonly string[]): Promise<void> {
    await this.#lists('#log > .message .body', texts);
  }

  /** All lines of the log, notes and gaps included. */
  lines(): Promise<string[]> {
    return this.page.locator('#log > .message .body, #log > .note').allTextContents();
  }

  /** Exactly these wait to be sent. */
  async hasPending(texts: readonly string[]): Promise<void> {
    await this.#lists('#pending .body', texts);
  }

  async #lists(selector: string, texts: readonly string[]): Promise<void> {
    const read = (): Promise<string[]> => this.page.locator(selector).allTextContents();
    await eventually(async () => {
      const found = await read();
      if (found.join('\n') !== texts.join('\n'))
        throw new Error(`expected ${texts.join(' | ')}, found ${found.join(' | ')}`);
    });
  }

  /** From now on; the function returns the states so far. */
  async recordStates(): Promise<() => Promise<string[]>> {
    await this.page.evaluate(() => {
      const states: string[] = [];
      const state = document.querySelector<HTMLElement>('#state');
      Object.assign(globalThis, { states });
      if (state)
        new MutationObserver(() => states.push(state.dataset['state'] ?? '')).observe(state, {
          attributeFilter: ['data-state'],
        });
    });
    return () => this.page.evaluate(() => (globalThis as unknown as { states: string[] }).states);
  }

  /** What axe calls serious or critical, as one line each. */
  async barriers(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    const { violations } = await this.page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  }

  /** True if nothing has to be scrolled sideways to be read. */
  fits(): Promise<boolean> {
    return this.page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
  }

  async screenshot(name: string): Promise<void> {
    mkdirSync(ARTEFACTS, { recursive: true });
    await this.page.screenshot({ path: join(ARTEFACTS, `demo-${name}-${this.look.width}-${this.look.scheme}.png`) });
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}
