import jwt from 'jsonwebtoken';
import type { Browser } from 'playwright-core';
import { eventually } from '../support/eventually.js';
import { DemoProcess } from './demo-process.js';
import { HiddenTab } from './hidden-tab.js';
import { COMES_BACK_WITHIN_MS, DemoWindow, GAP, launchBrowser, type Look } from './window.js';

const LOOK: Look = { width: 1280, height: 800, scheme: 'light' };
const TEST_MS = 120_000;
const HOUR_MS = 3_600_000;
/** The demo's own, published with its source. */
const DEMO_SECRET = 'nestjs-realtime-demo-development-secret';

let browser: Browser;
let demo: DemoProcess;
const windows: DemoWindow[] = [];
let rooms = 0;

beforeAll(async () => {
  [browser, demo] = await Promise.all([launchBrowser(), DemoProcess.start()]);
}, 60_000);

afterEach(async () => {
  for (const window of windows) expect(window.errors).toEqual([]);
  await Promise.all(windows.splice(0).map((window) => window.close()));
});

afterAll(async () => {
  await Promise.all([browser?.close(), demo?.stop()]);
}, 60_000);

async function opened(): Promise<DemoWindow> {
  const window = await DemoWindow.open(browser, demo.url, LOOK);
  windows.push(window);
  return window;
}

/** Ada, whose connection suffers, and Bob, who sees what arrives. */
async function adaAndBob(): Promise<[DemoWindow, DemoWindow, string]> {
  const room = `client-${(rooms += 1)}`;
  const [ada, bob] = [await opened(), await opened()];
  await bob.signIn('Bob', room);
  await ada.signIn('Ada', room);
  return [ada, bob, room];
}

async function sayAll(window: DemoWindow, texts: readonly string[]): Promise<void> {
  for (const text of texts) await window.say(text);
}

describe('when the network of a page goes away', () => {
  it(
    'shows what waits, and sends it once and in order when the network is back',
    async () => {
      const [ada, bob] = await adaAndBob();
      await ada.page.context().setOffline(true);
      await ada.sees('Offline');
      await sayAll(ada, ['one', 'two', 'three']);
      await ada.hasPending(['one', 'two', 'three']);
      await ada.screenshot('offline');
      expect(await ada.barriers()).toEqual([]);
      await ada.page.context().setOffline(false);
      await Promise.all([ada, bob].map((window) => window.hasMessages(['one', 'two', 'three'])));
      await ada.hasPending([]);
    },
    TEST_MS,
  );

  it(
    'does the same for the button, with a countdown',
    async () => {
      const [ada, bob] = await adaAndBob();
      await ada.page.getByRole('button', { name: 'Go offline' }).click();
      await ada.sees('Offline');
      await ada.page.getByText(/^next try in \d+ s$/).waitFor({ timeout: COMES_BACK_WITHIN_MS });
      await sayAll(ada, ['one', 'two']);
      await ada.page.getByRole('button', { name: 'Go online' }).click();
      await bob.hasMessages(['one', 'two']);
    },
    TEST_MS,
  );
});

describe('when a page is left with messages that wait', () => {
  it(
    'sends them after a reload, once and in order',
    async () => {
      const [ada, bob] = await adaAndBob();
      await ada.page.getByRole('button', { name: 'Go offline' }).click();
      await ada.sees('Offline');
      await sayAll(ada, ['one', 'two', 'three']);
      await ada.hasPending(['one', 'two', 'three']);
      await ada.page.reload();
      await bob.hasMessages(['one', 'two', 'three']);
      await ada.hasPending([]);
      await ada.say('four');
      await bob.hasMessages(['one', 'two', 'three', 'four']);
    },
    TEST_MS,
  );

  it(
    'leaves them to the other tab of the same user, which sends them once',
    async () => {
      const [ada, bob, room] = await adaAndBob();
      const second = await DemoWindow.openIn(ada.page.context(), demo.url, LOOK);
      await second.signIn('Ada', room);
      await ada.page.getByRole('button', { name: 'Go offline' }).click();
      await ada.sees('Offline');
      await sayAll(ada, ['one', 'two']);
      await ada.hasPending(['one', 'two']);
      await second.say('from the second tab');
      await bob.hasMessages(['from the second tab']);
      await ada.page.close();
      await bob.hasMessages(['from the second tab', 'one', 'two']);
      await second.say('fence');
      await bob.hasMessages(['from the second tab', 'one', 'two', 'fence']);
      expect(second.errors).toEqual([]);
    },
    TEST_MS,
  );
});

describe('when a page was away while others talked', () => {
  it(
    'shows after a reload what the room has kept, and after a tunnel what it missed, once and in order',
    async () => {
      const [ada, bob] = await adaAndBob();
      await bob.say('one');
      await ada.hasMessages(['one']);
      await ada.page.goto('about:blank');
      await sayAll(bob, ['two', 'three']);
      await bob.hasMessages(['one', 'two', 'three']);
      await ada.page.goBack();
      await ada.hasMessages(['one', 'two', 'three']);
      await ada.page.getByRole('button', { name: 'Go offline' }).click();
      await ada.sees('Offline');
      await sayAll(bob, ['four', 'five']);
      await bob.page.getByRole('button', { name: 'Wave at Ada' }).click();
      await bob.sees('You waved at Ada');
      await bob.hasMessages(['one', 'two', 'three', 'four', 'five']);
      await ada.page.getByRole('button', { name: 'Go online' }).click();
      await ada.sees('Bob waves at you', COMES_BACK_WITHIN_MS);
      await bob.say('six');
      await ada.hasMessages(['one', 'two', 'three', 'four', 'five', 'six']);
      expect((await ada.lines()).filter((line) => line === 'Bob waves at you')).toHaveLength(1);
    },
    TEST_MS,
  );

  it(
    'shows where messages may be missing, when the server has forgotten them',
    async () => {
      const [ada, bob] = await adaAndBob();
      await bob.say('before');
      await ada.hasMessages(['before']);
      await demo.stop();
      await ada.sees('Reconnecting');
      await demo.start();
      await Promise.all([ada, bob].map((window) => window.isBackAfterRestart()));
      await bob.say('after');
      await ada.hasMessages(['before', 'after']);
      const told = (await ada.lines()).filter((line) => [GAP, 'before', 'after'].includes(line));
      expect(told).toEqual(['before', GAP, 'after']);
      await ada.screenshot('gap');
      expect(await ada.barriers()).toEqual([]);
    },
    TEST_MS,
  );
});

describe('when a tab is out of sight, and its timers run once in a minute', () => {
  const STATE = `document.querySelector('#state').dataset.state`;
  const TICK = `globalThis.ticks = []; setInterval(() => ticks.push(Date.now()), 200); 0`;
  const SILENCE = `document.visibilityState === 'hidden' ? Date.now() - ticks.at(-1) : 0`;

  it(
    'hears what is said, and comes back as soon as it is looked at',
    async () => {
      const [room, bob] = [`client-${(rooms += 1)}`, await opened()];
      await bob.signIn('Bob', room);
      await using ada = await HiddenTab.open(`${demo.url}/#user=Ada&room=${room}`);
      const isState = (wanted: string, withinMs: number) =>
        eventually(async () => expect(await ada.read(STATE)).toBe(wanted), withinMs);
      await isState('connected', 20_000);
      await ada.read(TICK);
      await ada.hide();
      await eventually(async () => expect(await ada.read(SILENCE)).toBeGreaterThan(4_000), 60_000);
      await bob.say('are you there?');
      const heard = `document.querySelector('#log > .message .body')?.textContent`;
      await eventually(async () => expect(await ada.read(heard)).toBe('are you there?'));
      await demo.stop();
      await isState('waiting', 10_000);
      await demo.start();
      await bob.isBackAfterRestart();
      await ada.show();
      await isState('connected', 5_000);
      await ada.read(`document.querySelector('#text').value = 'back'; composer.requestSubmit(); 0`);
      await bob.hasMessages(['are you there?', 'back']);
    },
    TEST_MS,
  );
});

describe('when a tab is hidden for long', () => {
  async function hidden(): Promise<[DemoWindow, DemoWindow]> {
    const room = `client-${(rooms += 1)}`;
    const [ada, bob] = [await opened(), await opened()];
    await ada.page.clock.install();
    await ada.page.goto(demo.url);
    await bob.signIn('Bob', room);
    await ada.signIn('Ada', room);
    // From here on no timer of the page fires: worse than a browser's throttling to one in a minute.
    await ada.page.clock.pauseAt(Date.now() + 2_000);
    return [ada, bob];
  }
  const look = (window: DemoWindow): Promise<void> =>
    window.page.evaluate(() => void document.dispatchEvent(new Event('visibilitychange')));

  it(
    'comes back as soon as it is looked at, though its timers stand still',
    async () => {
      const [ada, bob] = await hidden();
      await demo.stop();
      await ada.sees('Reconnecting');
      await demo.start();
      await bob.isBackAfterRestart();
      await look(ada);
      await ada.sees('Connected');
      await ada.say('back');
      await bob.hasMessages(['back']);
    },
    TEST_MS,
  );

  it(
    'finds out by itself that its connection died while it slept',
    async () => {
      const [ada, bob] = await hidden();
      const states = await ada.recordStates();
      await ada.page.clock.setSystemTime(Date.now() + HOUR_MS);
      await look(ada);
      // The retry waits for its timer: the network did not change, nor did the user come back again.
      await ada.page.clock.runFor(3_000);
      await ada.sees('Connected');
      expect((await states()).slice(-2)).toEqual(['connecting', 'connected']);
      await ada.say('awake');
      await bob.hasMessages(['awake']);
    },
    TEST_MS,
  );
});

describe('when a token expires while its page is offline', () => {
  it(
    'asks for another one before it connects, and again when that one is stale too',
    async () => {
      const [room, ada, bob] = [`client-${(rooms += 1)}`, await opened(), await opened()];
      const lives = [30, 0, 3_600];
      let asked = 0;
      await ada.page.route('**/auth/token', async (route) => {
        const expiresIn = lives[asked] ?? 3_600;
        asked += 1;
        // Stale by ten minutes: beyond any tolerance for clocks.
        const iat = Math.floor(Date.now() / 1_000) - (expiresIn === 0 ? 1_200 : 0);
        const token = jwt.sign({ sub: 'Ada', iat, exp: iat + (expiresIn || 600) }, DEMO_SECRET, { algorithm: 'HS256' });
        await route.fulfill({ json: { token } });
      });
      await bob.signIn('Bob', room);
      await ada.signIn('Ada', room);
      await ada.page.context().setOffline(true);
      await ada.sees('Offline');
      await sayAll(ada, ['one', 'two']);
      await ada.page.context().setOffline(false);
      await bob.hasMessages(['one', 'two']);
      expect(asked).toBeGreaterThanOrEqual(3);
    },
    TEST_MS,
  );
});

describe('when the server restarts while somebody types', () => {
  it(
    'loses nothing, doubles nothing, and keeps the order',
    async () => {
      const [ada, bob] = await adaAndBob();
      await ada.say('before');
      await bob.hasMessages(['before']);
      await demo.stop();
      await ada.sees('Reconnecting');
      const typed = ['while it was away: 1', 'while it was away: 2', 'while it was away: 3'];
      await sayAll(ada, typed);
      await ada.hasPending(typed);
      await ada.screenshot('queued');
      expect(await ada.barriers()).toEqual([]);
      await demo.start();
      await Promise.all([ada, bob].map((window) => window.isBackAfterRestart()));
      await ada.hasMessages(['before', ...typed], COMES_BACK_WITHIN_MS);
      await ada.say('after');
      await ada.hasMessages(['before', ...typed, 'after']);
      await ada.hasPending([]);
      await ada.screenshot('delivered');
    },
    TEST_MS,
  );
});
