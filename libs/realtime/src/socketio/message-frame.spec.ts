import * as ws from 'ws';
import { messageFrame } from './message-frame.js';

/** `ws` has it, and its types do not. */
const { frame } = (ws as unknown as { Sender: { frame: (data: Buffer, options: object) => Buffer[] } }).Sender;

function byWs(data: Buffer, opcode: number): Buffer {
  return Buffer.concat(frame(data, { fin: true, mask: false, rsv1: false, readOnly: false, opcode }));
}

describe('when a message is framed', () => {
  const lengths = [0, 1, 124, 125, 126, 65_534, 65_535, 65_536];

  it.each(lengths)('has the bytes that ws would send, as text with %d characters', (length) => {
    const text = 'x'.repeat(length);
    expect(messageFrame(text)).toEqual(byWs(Buffer.from(`4${text}`), 1));
  });

  it.each(lengths)('has the bytes that ws would send, as binary data with %d bytes', (length) => {
    const data = Buffer.alloc(length, 7);
    expect(messageFrame(data)).toEqual(byWs(data, 2));
  });

  it('counts the bytes of text, not its characters', () => {
    const text = 'grüße 👋'.repeat(20);
    expect(messageFrame(text)).toEqual(byWs(Buffer.from(`4${text}`), 1));
  });

  it('takes every kind of binary data, and just the part that it shows', () => {
    const bytes = Buffer.from([9, 1, 2, 3, 4, 9]);
    const expected = byWs(Buffer.from([1, 2, 3, 4]), 2);
    expect(messageFrame(bytes.subarray(1, 5))).toEqual(expected);
    expect(messageFrame(new DataView(Uint8Array.from(bytes).buffer, 1, 4))).toEqual(expected);
    expect(messageFrame(Uint8Array.from([1, 2, 3, 4]).buffer)).toEqual(expected);
  });

  it('keeps nothing of data that the app may change afterwards', () => {
    const data = Buffer.from([1, 2, 3]);
    const frame = messageFrame(data);
    data.fill(0);
    expect([...frame.subarray(2)]).toEqual([1, 2, 3]);
  });
});
