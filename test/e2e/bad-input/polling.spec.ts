import { once } from 'node:events';
import type { Server } from 'node:http';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { connectedClient, stockClient } from '../../support/inbox.js';
import { mintToken } from '../../support/tokens.js';
import { HostileApp } from './hostile-app.js';

let reached = 0;

@WebSocketGateway({ namespace: 'polled' })
class PolledGateway {
  handleConnection(): void {
    reached += 1;
  }

  @SubscribeMessage('echo')
  echo(): string {
    return 'echo';
  }
}

@WebSocketGateway({ namespace: 'witness' })
class WitnessGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

const WITNESS = { namespace: '/witness', event: 'ping' };
const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';

describe('when long-polling is allowed', () => {
  /** Without a poll, Engine.IO keeps a session that it has closed for a second, so that the client may still hear of it. */
  const polls: Promise<unknown>[] = [];
  let hostile: HostileApp;

  beforeAll(async () => {
    const realtime = { transports: ['polling', 'websocket'] as const };
    hostile = await HostileApp.boot({ providers: [PolledGateway, WitnessGateway], realtime }, WITNESS);
  });

  beforeEach(() => (reached = 0));
  afterEach(() => hostile.survives());
  afterAll(async () => {
    await hostile[Symbol.asyncDispose]();
    await Promise.all(polls);
  });

  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${hostile.url}${path}`, { headers });

  async function sid(): Promise<string> {
    const text = await (await get(HANDSHAKE)).text();
    return (JSON.parse(text.slice(1)) as { sid: string }).sid;
  }

  const send = (id: string, body: string): Promise<Response> =>
    fetch(`${hostile.url}${HANDSHAKE}&sid=${id}`, { method: 'POST', body, headers: { 'content-type': 'text/plain' } });

  /** Sends while a poll is open, on which the answer or the end arrives. */
  async function post(id: string, body: string): Promise<Response | undefined> {
    const polled = once(hostile.node.app.getHttpServer() as Server, 'request');
    polls.push(get(`${HANDSHAKE}&sid=${id}`).catch(() => undefined));
    await polled;
    return send(id, body).catch(() => undefined);
  }

  it('serves a client with a token, and refuses one without', async () => {
    const transports = ['polling'];
    await using ada = await connectedClient(`${hostile.url}/polled`, { transports, auth: { token: mintToken('ada') } });
    expect(await ada.ask('echo')).toBe('echo');
    await using stranger = stockClient(`${hostile.url}/polled`, { transports });
    const error = (await stranger.inbox.next('connect_error')).args[0] as { data?: unknown };
    expect(error.data).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(reached).toBe(1);
  });

  it('B-30/31: answers 403 to a foreign origin, and opens nothing', async () => {
    const answer = await get(HANDSHAKE, { origin: 'https://evil.example' });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toEqual({ code: 'FORBIDDEN', message: 'Origin not allowed' });
  });

  it.each([
    ['a packet type that is none', '9'],
    ['a Socket.IO packet that is none', '4x'],
    ['JSON nested 10 000 deep in a CONNECT', `40/polled,{"token":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
    ['events before the CONNECT', '42/polled,["echo"]'],
    ['two CONNECTs', '40/polled,\u001e40/polled,'],
    ['an auth that is no object', '40/polled,5'],
    ['1 000 CONNECTs', Array.from({ length: 1_000 }, () => '40/polled,{"token":"x"}').join('\u001e')],
    ['nothing', ''],
  ])('B-09…18: survives a body with %s', async (_name, body) => {
    const answer = await post(await sid(), body);
    expect([200, 400]).toContain(answer?.status);
    expect(reached).toBe(0);
  });

  it('closes on a body above the limit', async () => {
    const answer = await post(await sid(), `42["${'x'.repeat(100_000)}"]`);
    expect([undefined, 400, 413]).toContain(answer?.status);
  });

  it("answers 400 to somebody else's session, and to none", async () => {
    for (const id of ['stolen', '__proto__', '']) expect((await send(id, '40/polled,')).status).toBe(400);
  });
});

describe('when long-polling is off', () => {
  it('answers 400, and advises operators once', async () => {
    await using hostile = await HostileApp.boot({ providers: [WitnessGateway] }, WITNESS);
    for (let index = 0; index < 3; index += 1) expect((await fetch(`${hostile.url}${HANDSHAKE}`)).status).toBe(400);
    expect(hostile.log.drain()).toEqual([expect.stringContaining('transports')]);
    await hostile.survives();
  });
});
