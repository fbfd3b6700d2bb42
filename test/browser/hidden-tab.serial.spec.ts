import type { Browser } from 'playwright-core';
import { eventually } from '../support/eventually.js';
import { DemoProcess } from './demo-process.js';
import { HiddenTab } from './hidden-tab.js';
import { DemoWindow, launchBrowser } from './window.js';

const STATE = `document.querySelector('#state').dataset.state`;
const HEARD = `document.querySelector('#log > .message .body')?.textContent`;
const TICK = `globalThis.ticks = []; setInterval(() => ticks.push(Date.now()), 200); 0`;
const SILENCE = `document.visibilityState === 'hidden' ? Date.now() - ticks.at(-1) : 0`;
/** A tab that is looked at has a tick each 200 ms; one that is hidden each second, and after a while each minute. */
const THROTTLED_MS = 700;
/** Registered after the client's own listener: the state that the client has gone to when it was looked at. */
const WATCH = `globalThis.looks = []; document.addEventListener('visibilitychange', () => looks.push([document.visibilityState, ${STATE}])); 0`;

describe('when a tab is out of sight, and its timers are throttled', () => {
  let browser: Browser;
  let demo: DemoProcess;

  beforeAll(async () => {
    [browser, demo] = await Promise.all([launchBrowser(), DemoProcess.start()]);
  });

  afterAll(async () => {
    await Promise.all([browser?.close(), demo?.stop()]);
  });

  it('hears what is said, and tries to come back as soon as it is looked at', async () => {
    const bob = await DemoWindow.open(browser, demo.url, { width: 1280, height: 800, scheme: 'light' });
    await bob.signIn('Bob', 'hidden');
    await using ada = await HiddenTab.open(`${demo.url}/#user=Ada&room=hidden`);
    const isState = (wanted: string) => eventually(async () => expect(await ada.read(STATE)).toBe(wanted));
    await isState('connected');
    await ada.read(`${TICK}; ${WATCH}`);
    await ada.hide();
    await eventually(async () => expect(await ada.read(SILENCE)).toBeGreaterThan(THROTTLED_MS));
    await bob.say('are you there?');
    await eventually(async () => expect(await ada.read(HEARD)).toBe('are you there?'));
    await demo.stop();
    await isState('waiting');
    // Nobody answers yet: that it tries is what being looked at has caused, and no timer.
    await ada.show();
    await eventually(async () => expect(await ada.read('looks')).toHaveLength(2));
    expect(await ada.read('looks')).toEqual([
      ['hidden', 'connected'],
      ['visible', 'connecting'],
    ]);
    await demo.start();
    await bob.hurriesBackAfterRestart();
    await isState('connected');
    await ada.read(`document.querySelector('#text').value = 'back'; composer.requestSubmit(); 0`);
    await bob.hasMessages(['are you there?', 'back']);
    expect(bob.errors).toEqual([]);
  });
});
