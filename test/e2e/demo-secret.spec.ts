import { DemoProcess } from '../browser/demo-process.js';

const ask = (url: string): Promise<Response> =>
  fetch(`${url}/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user: 'mallory', roles: ['admin'] }),
  });

describe('when the demo has a secret of its own', () => {
  it.each(['development', 'production', ''])("gives nobody a token, with NODE_ENV '%s'", async (NODE_ENV) => {
    await using demo = await DemoProcess.start({ JWT_SECRET: 'x'.repeat(32), NODE_ENV });
    expect((await ask(demo.url)).status).toBe(404);
    expect((await fetch(`${demo.url}/dev/kill`, { method: 'POST' })).status).toBe(404);
  });
});

describe('when the demo has the published secret', () => {
  it('gives tokens, and serves this machine alone', async () => {
    await using demo = await DemoProcess.start();
    expect((await ask(demo.url)).status).toBe(200);
    // Another loopback address stands for the addresses of this machine that others reach.
    await expect(fetch(demo.url.replace('localhost', '127.0.0.2'))).rejects.toThrow();
  });
});
