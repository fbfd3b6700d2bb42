import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'socket.io';
import { WebSocket } from 'ws';
import { engineOf, wireApp, type Connected } from '../coalesced-writes/wire.gateway.js';
import { eventually } from '../../support/eventually.js';
import { connectedClient } from '../../support/inbox.js';
import { RawClient } from '../../support/raw-client.js';
import { mintToken } from '../../support/tokens.js';
import { isDeflated } from '../../support/wire-frame.js';

const LONG = 'The quick brown fox jumps over the lazy dog. '.repeat(40);
const BOMB_BYTES = 45_000_000;
const isFence = (text: string): boolean => text === '42["fence"]';

/** What zlib holds for a connection, in `ws`. */
function contextsOf(socket: Socket): unknown[] {
  const { _extensions: extensions } = engineOf(socket).transport.socket as unknown as {
    _extensions: Record<string, { _deflate: unknown; _inflate: unknown }>;
  };
  const { _deflate, _inflate } = extensions['permessage-deflate'] ?? {};
  return [_deflate, _inflate];
}

describe('when a client offers compression', () => {
  it.each([
    ['permessage-deflate', true],
    ['permessage-deflate; client_max_window_bits', true],
    ['permessage-deflate; client_max_window_bits=12; server_max_window_bits=12', true],
    ['permessage-deflate; server_max_window_bits=8', false],
  ])('agrees that nothing is kept, and sends what its window holds: %s', async (extensions, isCompressed) => {
    await using app = await wireApp({ compression: {} });
    using ada = await app.client('ada', { extensions });
    expect(ada.wire.extensions).toContain('server_no_context_takeover');
    expect(ada.wire.extensions).toContain('client_no_context_takeover');
    app.server.emit('long', LONG);
    app.server.emit('fence');
    await ada.wire.got(isFence);
    expect(ada.wire.texts[0]).toBe(`42["long","${LONG}"]`);
    expect(ada.wire.frames.map(isDeflated)).toEqual([isCompressed, false]);
  });

  it('does not agree unless the app wants it', async () => {
    await using app = await wireApp();
    using ada = await app.client('ada', { extensions: 'permessage-deflate' });
    expect(ada.wire.extensions).toBeUndefined();
  });

  it('keeps no context of a connection, whatever has gone through it', async () => {
    await using app = await wireApp({ compression: { minBytes: 0 } });
    await using client = await connectedClient(app.app.url, { auth: { token: mintToken('ada') } });
    for (const length of [10, 2_000, 10, 3_000]) {
      expect(await client.ask('echo', 'x'.repeat(length))).toBe('x'.repeat(length));
      const [socket] = app.server.sockets.sockets.values();
      expect(socket && contextsOf(socket)).toEqual([null, null]);
    }
  });

  it('sends a slow reader what is compressed, in order, when it reads again', async () => {
    await using app = await wireApp({
      compression: {},
      limits: { maxSendBufferBytes: 0, maxSendBufferMessages: 0 },
    });
    using slow = await app.client('slow', { extensions: 'permessage-deflate' });
    slow.wire.tcp.pause();
    const noise = randomBytes(1_000).toString('hex');
    let count = 0;
    for (; count < 60_000 && engineOf(slow.socket).writeBuffer.length < 20; count += 2) {
      app.server.emit('count', count, noise);
      slow.socket.emit('count', count + 1, noise);
    }
    expect(engineOf(slow.socket).writeBuffer.length).toBeGreaterThan(0);
    app.server.emit('fence');
    slow.wire.tcp.resume();
    await slow.wire.got(isFence);
    expect(slow.wire.texts.slice(0, -1)).toEqual(
      Array.from({ length: count }, (_, index) => `42["count",${index},"${noise}"]`),
    );
    expect(slow.wire.frames.slice(0, -1).every(isDeflated)).toBe(true);
  });
});

describe('when a client sends what is compressed', () => {
  it('understands it, in fragments and with a context that starts anew', async () => {
    await using app = await wireApp({ compression: {} });
    const ws = new WebSocket(`${app.app.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`, {
      perMessageDeflate: { threshold: 0 },
    });
    const heard: string[] = [];
    ws.on('message', (data: Buffer) => heard.push(data.toString()));
    await once(ws, 'open');
    ws.send(`40${JSON.stringify({ token: mintToken('ada') })}`);
    await eventually(() => expect(heard.some((text) => text.startsWith('40'))).toBe(true));
    ws.send('421["echo","a', { fin: false });
    ws.send(`${LONG}b"]`, { fin: true });
    ws.send(`422["echo","${LONG}"]`);
    ws.send('423["echo","end"]');
    await eventually(() => expect(heard.at(-1)).toBe('433["end"]'));
    expect(heard.slice(-3)).toEqual([`431["a${LONG}b"]`, `432["${LONG}"]`, '433["end"]']);
    expect(ws.extensions).toBe('permessage-deflate');
    ws.terminate();
  });

  it('B-02: closes with 1009 on 45 MB in a frame of 45 KB, and on a message just above the limit', async () => {
    await using app = await wireApp({ compression: {} });
    using other = await app.client('other');
    for (const bytes of [BOMB_BYTES, 65_536]) {
      await using mallory = await RawClient.connected(app.app.url, '/', { token: mintToken('mallory') });
      mallory.send(`21["echo","${'x'.repeat(bytes)}"]`);
      expect(await mallory.closed()).toBe(1009);
    }
    await using honest = await RawClient.connected(app.app.url, '/', { token: mintToken('honest') });
    const most = 'x'.repeat(65_500);
    expect(await honest.ask('/', `["echo","${most}"]`)).toBe(most);
    await lives(other);
  });
});

async function lives({ wire }: Connected): Promise<void> {
  wire.send('429["echo","alive"]');
  await wire.got((text) => text === '439["alive"]');
}
