import { randomInt } from 'node:crypto';
import { jest } from '@jest/globals';
import type { RealtimeOptions } from 'nestjs-realtime';
import { Story, type Told } from './story.js';
import { seeded } from '../../chaos/requests/random.js';
import { wireApp, type Connected } from './wire.gateway.js';

jest.setTimeout(60_000);

const CLIENTS = 50;
const TURNS = 120;

async function told(seed: number, options: Partial<RealtimeOptions>): Promise<Told> {
  await using app = await wireApp({ limits: { maxSendBufferBytes: 0, maxSendBufferMessages: 0 }, ...options });
  const clients: Connected[] = [];
  try {
    for (let index = 0; index < CLIENTS; index += 1) clients.push(await app.client(`user-${index}`));
    return await new Story(app, clients, seeded(seed)).tell(TURNS);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
}

describe('when the same story is told with and without coalesced writes', () => {
  const seeds = process.env['REALTIME_SEED'] ? [Number(process.env['REALTIME_SEED'])] : [1, randomInt(1_000_000)];

  it.each(seeds)('reaches every client byte for byte the same (replay with REALTIME_SEED=%d)', async (seed) => {
    const stock = await told(seed, { coalesceWrites: false });
    const ours = await told(seed, {});
    expect(ours.operations).toEqual(stock.operations);
    expect(Object.keys(ours.operations)).toHaveLength(16);
    expect(ours.terminated).toEqual(stock.terminated);
    const differing = stock.frames.flatMap((frames, index) => {
      // A termination cuts off what stock would have written after the turn's first message.
      const compared = ours.terminated.has(index) ? ours.frames[index]?.slice(0, frames.length) : ours.frames[index];
      return Buffer.concat(frames).equals(Buffer.concat(compared ?? [])) ? [] : [index];
    });
    expect(differing).toEqual([]);
    expect(ours.frames.flat().length).toBeGreaterThan(CLIENTS * TURNS);
    // Nobody reads slowly here: nothing volatile is left out.
    for (const [index, count] of stock.late.entries()) expect(ours.late[index]).toBeGreaterThanOrEqual(count);
  });
});
