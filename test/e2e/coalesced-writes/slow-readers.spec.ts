import { once } from 'node:events';
import { nextTurn } from '../../support/next-turn.js';
import { engineOf, keptFor, wireApp } from './wire.gateway.js';

/** More than the kernel's buffers of both ends hold, in bytes. */
const MORE_THAN_THE_KERNEL_HOLDS = 33_554_432;
const MAX_BYTES = 262_144;
const TEXT = 'x'.repeat(1_000);

describe('when a client does not read', () => {
  it('costs no more than the limit, and is terminated in the middle of a turn', async () => {
    await using app = await wireApp({ limits: { maxSendBufferBytes: MAX_BYTES } });
    using slow = await app.client();
    slow.wire.tcp.pause();
    const gone = once(slow.socket, 'disconnect');
    let [sent, most] = [0, 0];
    while (slow.tcp.writable && sent < MORE_THAN_THE_KERNEL_HOLDS) {
      app.server.emit('many', TEXT);
      sent += TEXT.length;
      most = Math.max(most, keptFor(slow));
    }
    expect(slow.tcp.writable).toBe(false);
    expect(most).toBeGreaterThan(MAX_BYTES / 2);
    expect(most).toBeLessThan(MAX_BYTES + 4 * 65_536);
    await gone;
  });

  it('is left out of volatile messages, and gets all others when it reads again', async () => {
    await using app = await wireApp({ limits: { maxSendBufferBytes: 0, maxSendBufferMessages: 0 } });
    using slow = await app.client();
    slow.wire.tcp.pause();
    let sent = 0;
    for (; engineOf(slow.socket).transport.writable && sent < 33_554; sent += 1) app.server.emit('many', sent, TEXT);
    for (let more = 0; more < 100; more += 1) {
      app.server.volatile.emit('volatile', more);
      slow.socket.volatile.emit('volatile', more);
      app.server.emit('many', (sent += 1) - 1, TEXT);
      slow.socket.emit('many', (sent += 1) - 1, TEXT);
      await nextTurn();
    }
    expect(engineOf(slow.socket).writeBuffer).toHaveLength(200);
    slow.wire.tcp.resume();
    await slow.wire.got((text) => text.startsWith(`42["many",${sent - 1},`));
    expect(slow.wire.texts).toEqual(Array.from({ length: sent }, (_, count) => `42["many",${count},"${TEXT}"]`));
    app.server.volatile.emit('volatile', 'again');
    await slow.wire.got((text) => text === '42["volatile","again"]');
  });

  it('gets small messages of many turns in order, whatever the kernel took of each', async () => {
    await using app = await wireApp({ limits: { maxSendBufferBytes: 0, maxSendBufferMessages: 0 } });
    using slow = await app.client();
    slow.wire.tcp.pause();
    const text = TEXT.repeat(8);
    let sent = 0;
    // Below what goes through the stream, one a turn: until the stream holds some back, and for some turns more.
    for (let more = 0; more < 3 && sent * text.length < MORE_THAN_THE_KERNEL_HOLDS; sent += 1) {
      app.server.emit('many', sent, text);
      await nextTurn();
      if (slow.tcp.writableLength > 0) more += 1;
    }
    expect(slow.tcp.writableLength).toBeGreaterThan(0);
    slow.wire.tcp.resume();
    await slow.wire.got((got) => got.startsWith(`42["many",${sent - 1},`));
    expect(slow.wire.texts).toEqual(Array.from({ length: sent }, (_, count) => `42["many",${count},"${text}"]`));
  });
});
