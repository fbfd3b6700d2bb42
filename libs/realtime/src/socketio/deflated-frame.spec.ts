import { randomFillSync } from 'node:crypto';
import { constants, inflateRawSync } from 'node:zlib';
import { FrameDeflater } from './deflated-frame.js';
import type { FrameParts } from './frame-sequence.js';
import { TEXT, frameHeader, messageFrame } from './message-frame.js';

const OPTIONS = { minBytes: 100, maxBytes: 100_000, level: 1 };
const TEXT_300 = 'ab'.repeat(150);

function partsOf(text: string): FrameParts {
  const payload = Buffer.from(text);
  return [frameHeader(TEXT, payload.length), payload];
}

/** What a client with a window of so many bits reads in a deflated frame. */
function inflated(frame: Buffer, windowBits = 15): Buffer {
  expect((frame[0] as number) & 0x70).toBe(0x40);
  const length = frame[1] as number;
  const header = length < 126 ? 2 : length === 126 ? 4 : 10;
  const stated = length < 126 ? length : length === 126 ? frame.readUInt16BE(2) : Number(frame.readBigUInt64BE(2));
  expect(stated).toBe(frame.length - header);
  const stream = Buffer.concat([frame.subarray(header), Buffer.from([0, 0, 0xff, 0xff])]);
  // In small pieces: zlib looks into its window for what it has given out already.
  return inflateRawSync(stream, { finishFlush: constants.Z_SYNC_FLUSH, windowBits, chunkSize: 64 });
}

describe('when a message is long enough', () => {
  it('becomes a shorter frame of the same kind that inflates to the same message', () => {
    const deflater = new FrameDeflater(OPTIONS);
    const text = deflater.alone(messageFrame(TEXT_300));
    expect(text[0]).toBe(0xc1);
    expect(text.length).toBeLessThan(50);
    expect(inflated(text).toString()).toBe(`4${TEXT_300}`);
    const binary = deflater.alone(messageFrame(Buffer.from(TEXT_300)));
    expect(binary[0]).toBe(0xc2);
    expect(inflated(binary).toString()).toBe(TEXT_300);
  });

  it.each([1, 9])('does so at level %d, whatever the length of what comes out', (level) => {
    const deflater = new FrameDeflater({ ...OPTIONS, level });
    const noise = randomFillSync(Buffer.alloc(70_000));
    for (const length of [120, 250, 16_000, 16_360, 16_384, 16_400, 32_768, 65_000, 66_000]) {
      const message = Buffer.concat([noise.subarray(0, length), Buffer.alloc(2_000, 7)]);
      expect(inflated(deflater.alone(messageFrame(message))).equals(message)).toBe(true);
    }
  });

  it.each([9, 12, 15])('fits into a window of %d bits', (bits) => {
    const noise = randomFillSync(Buffer.alloc(5_000));
    const message = Buffer.concat([noise, noise, Buffer.alloc(5_000)]);
    const frame = new FrameDeflater(OPTIONS, bits).alone(messageFrame(message));
    expect(inflated(frame, bits).equals(message)).toBe(true);
  });

  it('needs nothing that was sent before', () => {
    const deflater = new FrameDeflater(OPTIONS);
    const first = deflater.alone(messageFrame(TEXT_300));
    expect(deflater.alone(messageFrame(TEXT_300))).toEqual(first);
  });
});

describe('when a frame is to stay as it is', () => {
  const deflater = new FrameDeflater(OPTIONS);
  const stays = (frame: Buffer): boolean => deflater.alone(frame) === frame && deflater.shared([frame])[0] === frame;

  it('leaves short and long messages alone, and those that would not get shorter', () => {
    expect(stays(messageFrame('x'.repeat(98)))).toBe(true);
    expect(stays(messageFrame('x'.repeat(99)))).toBe(false);
    expect(stays(messageFrame('x'.repeat(99_999)))).toBe(false);
    expect(stays(messageFrame('x'.repeat(100_000)))).toBe(true);
    expect(stays(messageFrame(randomFillSync(Buffer.alloc(500))))).toBe(true);
  });

  it.each([
    ['a close frame', 0x88],
    ['a ping', 0x89],
    ['a pong', 0x8a],
    ['a fragment', 0x01],
    ['the last fragment', 0x80],
    ['what is deflated already', 0xc1],
  ])('leaves %s alone', (_name, first) => {
    const payload = Buffer.alloc(120);
    expect(stays(Buffer.concat([frameHeader(first, 120), payload]))).toBe(true);
  });

  it('leaves alone what it is told to', () => {
    const parts = partsOf(TEXT_300);
    deflater.leave(parts);
    expect(deflater.shared(parts)).toBe(parts);
    const late = partsOf(TEXT_300);
    expect(deflater.shared(late)).not.toBe(late);
    deflater.leave(late);
    expect(deflater.shared(late)).toBe(late);
  });
});

describe('when a frame goes to many', () => {
  it('is deflated once, also when another one comes between', () => {
    const deflater = new FrameDeflater(OPTIONS);
    const [one, other] = [partsOf(TEXT_300), partsOf(TEXT_300)];
    const deflated = deflater.shared(one);
    expect(inflated(Buffer.concat(deflated)).toString()).toBe(TEXT_300);
    expect(deflater.shared(one)).toBe(deflated);
    expect(deflater.shared(other)).not.toBe(deflated);
    expect(deflater.shared(one)).toBe(deflated);
  });

  it('takes frames in one piece, too', () => {
    const parts = [messageFrame(Buffer.from(TEXT_300))];
    const deflater = new FrameDeflater(OPTIONS);
    expect(inflated(Buffer.concat(deflater.shared(parts))).toString()).toBe(TEXT_300);
    expect(deflater.shared(parts)).toBe(deflater.shared(parts));
  });
});
