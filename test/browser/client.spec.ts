import jwt from 'jsonwebtoken';
import type { Browser } from 'playwright-core';
import { DemoProcess } from './demo-process.js';
import { DemoWindow, GAP, launchBrowser, type Look } from './window.js';

const LOOK: Look = { width: 1280, height: 800, scheme: 'light' };
const HOUR_MS = 3_600_000;
/** The demo's own, published with its source. */
const DEMO_SECRET = 'nestjs-realtime-demo-development-secret';

let browser: Browser;
let demo: DemoProcess;
/** What the test has open, and what the next one may begin with. */
const windows: DemoWindow[] = [];
const idle: DemoWindow[] = [];
let rooms = 0;

beforeAll(async () => {
  [browser, demo] = await Promise.all([launchBrowser(), DemoProcess.start()]);
});

afterEach(async () => {
  for (const window of windows) expect(window.errors).toEqual([]);
  for (const window of windows.splice(0)) {
    if (window.hasOwnClock || window.page.isClosed()) await window.close();
    else idle.push(window);
  }
});

afterAll(async () => {
  await Promise.all([browser?.close(), demo?.stop()]);
});

async function opened(): Promise<DemoWindow> {
  const old = idle.pop();
  const window = old ?? (await DemoWindow.open(browser, demo.url, LOOK));
  windows.push(window);
  await old?.startAnew(demo.url);
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
  it('shows what waits, and sends it once and in order when the network is back', async () => {
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
  });

  it('does the same for the button, with a countdown', async () => {
    const [ada, bob] = await adaAndBob();
    await ada.page.getByRole('button', { name: 'Go offline' }).click();
    await ada.sees('Offline');
    await ada.page.getByText(/^next try in \d+ s$/).waitFor();
    await sayAll(ada, ['one', 'two']);
    await ada.page.getByRole('button', { name: 'Go online' }).click();
    await bob.hasMessages(['one', 'two']);
  });
});

describe('when a page is left with messages that wait', () => {
  it('sends them after a reload, once and in order', async () => {
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
  });

  it('leaves them to the other tab of the same user, which sends them once', async () => {
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
  });
});

describe('when a page was away while others talked', () => {
  it('shows after a reload what the room has kept, and after a tunnel what it missed, once and in order', async () => {
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
    await ada.sees('Bob waves at you');
    await bob.say('six');
    await ada.hasMessages(['one', 'two', 'three', 'four', 'five', 'six']);
    expect((await ada.lines()).filter((line) => line === 'Bob waves at you')).toHaveLength(1);
  });

  it('shows where messages may be missing, when the server has forgotten them', async () => {
    const [ada, bob] = await adaAndBob();
    await bob.say('before');
    await ada.hasMessages(['before']);
    await demo.stop();
    await ada.sees('Reconnecting');
    await demo.start();
    await Promise.all([ada, bob].map((window) => window.hurriesBackAfterRestart()));
    await bob.say('after');
    await ada.hasMessages(['before', 'after']);
    const told = (await ada.lines()).filter((line) => [GAP, 'before', 'after'].includes(line));
    expect(told).toEqual(['before', GAP, 'after']);
    await ada.screenshot('gap');
    expect(await ada.barriers()).toEqual([]);
  });
});

describe('when a tab is hidden for long', () => {
  async function hidden(): Promise<[DemoWindow, DemoWindow]> {
    const room = `client-${(rooms += 1)}`;
    const [ada, bob] = [await opened(), await opened()];
    await ada.takeClock();
    await ada.page.goto(demo.url);
    await bob.signIn('Bob', room);
    await ada.signIn('Ada', room);
    // From here on no timer of the page fires: worse than a browser's throttling to one in a minute. The clock stops in the
    // page's future, further than this process may be late, and before its connection is taken for dead.
    await ada.page.clock.pauseAt(Date.now() + 20_000);
    return [ada, bob];
  }
  const look = (window: DemoWindow): Promise<void> =>
    window.page.evaluate(() => void document.dispatchEvent(new Event('visibilitychange')));

  it('comes back as soon as it is looked at, though its timers stand still', async () => {
    const [ada, bob] = await hidden();
    await demo.stop();
    await ada.sees('Reconnecting');
    await demo.start();
    await bob.hurriesBackAfterRestart();
    await look(ada);
    await ada.sees('Connected');
    await ada.say('back');
    await bob.hasMessages(['back']);
  });

  it('finds out by itself that its connection died while it slept', async () => {
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
  });
});

describe('when a token expires while its page is offline', () => {
  it('asks for another one before it connects, and again when that one is stale too', async () => {
    const [room, ada, bob] = [`client-${(rooms += 1)}`, await opened(), await opened()];
    const lives = [3_600, 0, 3_600];
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
    expect(asked).toBe(1);
    await ada.page.context().setOffline(true);
    await ada.sees('Offline');
    await sayAll(ada, ['one', 'two']);
    await ada.page.context().setOffline(false);
    await bob.hasMessages(['one', 'two']);
    // Once more for each attempt that was given up, on a machine that stands still.
    expect(asked).toBeGreaterThanOrEqual(3);
  });
});

describe('when the server restarts while somebody types', () => {
  it('loses nothing, doubles nothing, and keeps the order', async () => {
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
    await Promise.all([ada, bob].map((window) => window.hurriesBackAfterRestart()));
    await ada.hasMessages(['before', ...typed]);
    await ada.say('after');
    await ada.hasMessages(['before', ...typed, 'after']);
    await ada.hasPending([]);
    await ada.screenshot('delivered');
  });
});
