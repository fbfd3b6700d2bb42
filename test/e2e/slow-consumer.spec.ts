import { once } from 'node:events';
import { RoomManager, RoomPolicy } from 'nestjs-realtime';
import { eventually } from '../support/eventually.js';
import { connectedClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';
import { engineOf, keptFor, wireApp } from './coalesced-writes/wire.gateway.js';

const MAX_BYTES = 1_048_576;
const BLOCK = 'x'.repeat(16_384);
/** What a client gets at once: far below the limit, so that only the client that does not read can pass it. */
const BLOCKS_AT_ONCE = 8;
/** More than the kernel's buffers of both ends hold, however large they may grow. */
const MORE_THAN_THE_KERNEL_HOLDS = 134_217_728;
/** A client that does not read answers no ping: not what ends it here. */
const heartbeat = { intervalMs: 3_600_000, timeoutMs: 3_600_000 };

@RoomPolicy('feed')
class FeedPolicy {
  canJoin(): boolean {
    return true;
  }
}

const numberOf = (args: readonly unknown[]): number => (args[0] as { number: number }).number;

describe('when a client reads slowly', () => {
  it('costs a bounded amount of memory, then its transport is terminated and nobody else notices', async () => {
    await using app = await wireApp({ limits: { maxSendBufferBytes: MAX_BYTES }, heartbeat }, [FeedPolicy]);
    const rooms = app.app.app.get(RoomManager);
    await using healthy = await connectedClient(app.app.url, { auth: { token: mintToken('ada') } });
    await healthy.ask('realtime:join', { room: 'feed' });
    using slow = await app.client('slow');
    slow.wire.send('421["realtime:join",{"room":"feed"}]');
    await slow.wire.got((text) => text.startsWith('431['));
    expect(await rooms.count('feed')).toBe(2);
    slow.wire.tcp.pause();
    const gone = once(slow.socket, 'disconnect');
    let [sent, most] = [0, 0];
    while (slow.tcp.writable && sent * BLOCK.length < MORE_THAN_THE_KERNEL_HOLDS) {
      for (let block = 0; block < BLOCKS_AT_ONCE; block += 1) {
        rooms.emit('feed', 'block', { number: (sent += 1), block: BLOCK });
        most = Math.max(most, keptFor(slow));
      }
      const last = sent;
      const { event } = await healthy.inbox.next(
        ({ event, args }) => event === 'disconnect' || (event === 'block' && numberOf(args) === last),
      );
      expect(event).toBe('block');
    }
    expect(slow.tcp.writable).toBe(false);
    expect(await gone).toEqual(['transport close', undefined]);
    expect(most).toBeGreaterThan(MAX_BYTES / 2);
    expect(most).toBeLessThan(MAX_BYTES + BLOCKS_AT_ONCE * BLOCK.length);
    await eventually(async () => expect(await rooms.count('feed')).toBe(1));
    expect(await healthy.ask('echo', 'pong')).toBe('pong');
    expect(healthy.inbox.all.flatMap(({ event, args }) => (event === 'block' ? [numberOf(args)] : []))).toEqual(
      Array.from({ length: sent }, (_, index) => index + 1),
    );
  });
});

describe('when much is said in one turn to a client that reads', () => {
  // The size of a message that does not wait for the end of the turn, and that of one that does.
  it.each([70_000, 20_000])('counts nothing as waiting while the kernel takes it: %i bytes a message', async (size) => {
    await using app = await wireApp({ limits: { maxSendBufferBytes: MAX_BYTES } });
    using reader = await app.client('reader');
    const message = 'x'.repeat(size);
    let sent = 0;
    do {
      app.server.emit('many', (sent += 1), message);
      // What the kernel has not taken waits, and is counted.
      if (reader.tcp.writableLength === 0) expect(engineOf(reader.socket).writeBuffer).toEqual([]);
    } while (reader.tcp.writableLength === 0 && sent * size < 2 * MAX_BYTES);
    await reader.wire.got((text) => text.startsWith(`42["many",${sent},`));
    expect(reader.wire.texts).toEqual(
      Array.from({ length: sent }, (_, index) => `42["many",${index + 1},"${message}"]`),
    );
  });
});
