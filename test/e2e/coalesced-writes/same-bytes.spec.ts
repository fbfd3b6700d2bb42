import { randomInt } from 'node:crypto';
import type { RealtimeOptions } from 'nestjs-realtime';
import { Story, type Told } from './story.js';
import { isDeflated, plain } from '../../support/wire-frame.js';
import { seeded } from '../../chaos/requests/random.js';
import { wireApp, type Connected } from './wire.gateway.js';

const CLIENTS = 50;
const TURNS = 120;
/** Of a message that is compressed, where anything is. */
const MIN_BYTES = 200;

/** Every second client, and every fourth with another window, if the server agrees. */
function offer(index: number): { extensions?: string } {
  if (index % 2 === 1) return {};
  return { extensions: index % 4 === 0 ? 'permessage-deflate' : 'permessage-deflate; server_max_window_bits=10' };
}

async function told(seed: number, options: Partial<RealtimeOptions>): Promise<Told> {
  await using app = await wireApp({ limits: { maxSendBufferBytes: 0, maxSendBufferMessages: 0 }, ...options });
  const clients: Connected[] = [];
  try {
    for (let index = 0; index < CLIENTS; index += 1) clients.push(await app.client(`user-${index}`, offer(index)));
    return await new Story(app, clients, seeded(seed)).tell(TURNS);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
}

/** Clients that did not get the same frames. */
function differing(stock: Told, ours: Told): number[] {
  expect(ours.terminated).toEqual(stock.terminated);
  return stock.frames.flatMap((frames, index) => {
    // A termination cuts off what stock would have written after the turn's first message.
    const compared = ours.terminated.has(index) ? ours.frames[index]?.slice(0, frames.length) : ours.frames[index];
    return Buffer.concat(frames).equals(Buffer.concat(compared ?? [])) ? [] : [index];
  });
}

describe('when the same story is told with and without coalesced writes, and with compression', () => {
  const seed = Number(process.env['REALTIME_SEED'] ?? randomInt(1_000_000));

  it(`reaches every client byte for byte the same, once inflated (replay with REALTIME_SEED=${seed})`, async () => {
    const stock = await told(seed, { coalesceWrites: false });
    const ours = await told(seed, {});
    expect(ours.operations).toEqual(stock.operations);
    expect(Object.keys(ours.operations)).toHaveLength(16);
    expect(differing(stock, ours)).toEqual([]);
    expect(ours.frames.flat().length).toBeGreaterThan(CLIENTS * TURNS);
    // Nobody reads slowly here: nothing volatile is left out.
    for (const [index, count] of stock.late.entries()) expect(ours.late[index]).toBeGreaterThanOrEqual(count);

    const compressed = await told(seed, { compression: { minBytes: MIN_BYTES } });
    const inflated = { ...compressed, frames: compressed.frames.map((frames) => frames.map(plain)) };
    const whole = { ...ours, frames: ours.frames.map((frames) => frames.map(plain)) };
    expect(compressed.operations).toEqual(ours.operations);
    expect(differing(whole, inflated)).toEqual([]);
    expect(differing(inflated, whole)).toEqual([]);
    for (const [index, frames] of compressed.frames.entries()) {
      expect(frames.filter((frame) => isDeflated(frame) && plain(frame).length <= MIN_BYTES)).toEqual([]);
      const all = ours.frames[index]?.filter((frame) => plain(frame).length > MIN_BYTES).length ?? 0;
      const isCompressed = index % 2 === 0;
      // A client that is gone after a few messages may have got mostly those that are sent as they are.
      if (!isCompressed || all >= 20)
        expect([index, frames.filter(isDeflated).length / all > 0.5]).toEqual([index, isCompressed]);
    }
  });
});
