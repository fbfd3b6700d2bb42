import type { Browser } from 'playwright-core';
import { DemoProcess } from './demo-process.js';
import { DemoWindow, launchBrowser, type Look } from './window.js';

const LOOKS: Look[] = [
  { width: 1280, height: 800, scheme: 'light' },
  { width: 1280, height: 800, scheme: 'dark' },
  { width: 390, height: 844, scheme: 'light' },
  { width: 390, height: 844, scheme: 'dark' },
];

let browser: Browser;
let demo: DemoProcess;
let ada: DemoWindow;
let bob: DemoWindow;

beforeAll(async () => {
  [browser, demo] = await Promise.all([launchBrowser(), DemoProcess.start()]);
  const opened = () => DemoWindow.open(browser, demo.url, LOOKS[0] as Look);
  [ada, bob] = await Promise.all([opened(), opened()]);
});

afterAll(async () => {
  await Promise.all([browser?.close(), demo?.stop()]);
});

describe.each(LOOKS)('when two windows of $width pixels are open in $scheme', (look) => {
  const room = `room-${look.width}-${look.scheme}`;

  beforeAll(() => Promise.all([ada, bob].map((window) => window.startAnew(demo.url, look))));

  it('lets two people sign in and see each other arrive', async () => {
    await ada.screenshot('sign-in');
    expect(await ada.barriers()).toEqual([]);
    await ada.signIn('Ada', room);
    await ada.seesPeople(['Ada']);
    await bob.signIn('Bob', room);
    await Promise.all([ada.seesPeople(['Ada', 'Bob']), bob.seesPeople(['Ada', 'Bob'])]);
    await ada.sees('Bob joined');
  });

  it('shows messages as text, who is typing, and who waves', async () => {
    const markup = '<img src=x onerror="document.title = 1"> is only text';
    for (const [from, text] of [
      [ada, 'Hello Bob, do you see me?'],
      [bob, 'Loud and clear.'],
      [ada, markup],
    ] as const) {
      await from.say(text);
      await Promise.all([ada.sees(text), bob.sees(text)]);
    }
    expect(await bob.page.title()).toBe('nestjs-realtime demo');
    // It is shown for some seconds only: looked for from before it comes.
    const isShown = ada.sees('Bob is typing…');
    await bob.page.getByLabel('Message', { exact: true }).pressSequentially('I');
    await isShown;
    await bob.page.getByRole('button', { name: 'Wave at Ada' }).click();
    await ada.sees('Bob waves at you');
    await ada.screenshot('chat');
    expect([await ada.barriers(), await ada.fits(), await bob.fits()]).toEqual([[], true, true]);
  });

  it('says that the connection is lost, and comes back after a restart', async () => {
    await demo.stop();
    await Promise.all([ada.sees('Reconnecting'), bob.sees('Reconnecting')]);
    await ada.screenshot('lost');
    expect(await ada.barriers()).toEqual([]);

    await demo.start();
    // By itself once; the wait for it looks the same in every window.
    if (look === LOOKS[0]) await Promise.all([ada.isBackAfterRestart(), bob.isBackAfterRestart()]);
    else await Promise.all([ada.hurriesBackAfterRestart(), bob.hurriesBackAfterRestart()]);
    await Promise.all([ada.seesPeople(['Ada', 'Bob']), bob.seesPeople(['Ada', 'Bob'])]);
    await bob.say('We are back.');
    await ada.sees('We are back.');
  });

  it('sees the other one leave', async () => {
    await bob.page.getByRole('button', { name: 'Leave' }).click();
    await ada.sees('Bob left');
    await ada.seesPeople(['Ada']);
    expect([ada.errors, bob.errors]).toEqual([[], []]);
  });
});
