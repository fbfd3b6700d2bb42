import fc from 'fast-check';
import { ManualClock } from '../testing/manual-clock.js';
import { boundedParser } from './bounded-parser.js';
import { MAX_JSON_DEPTH } from './packet-bounds.js';

const { Decoder } = boundedParser({ clock: new ManualClock(), attachmentsWithinMs: 10_000 });

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

/** Parts of packets, right and nearly right, and what confuses whoever reads them otherwise than the parser. */
const part = fc.constantFrom(
  ...['0', '2', '3', '5', '6', ' ', '\t', '-', '1-', '1e0-', '01-', '+1-', ' 1-', '0x1-', '2-', '10-'],
  ...['/', '/d,', '/d",', '/[,', ',', '"', '\\', '17', ' 5', '1e3', '["a",', '["a"]', '{"a":', '}', ']'],
  ...['{"_placeholder":true,"num":0}', nested(MAX_JSON_DEPTH - 1), nested(MAX_JSON_DEPTH), nested(200)],
);
const confused = fc.array(part, { maxLength: 10 }).map((parts) => parts.join(''));
/** Mostly taken, so that the property is about something. */
const likely = fc
  .tuple(
    fc.constantFrom('2', '3', '51-', '61-', '51e0-', '5 1-', '501-', '2 ', ' '),
    fc.constantFrom('', '/d,', '/d",', '/d\\",', '/",",'),
    fc.constantFrom('', '5', ' ', '5 ', '"'),
    fc.integer({ min: 1, max: 3 * MAX_JSON_DEPTH }),
  )
  .map(([head, namespace, id, depth]) => {
    const place = head.includes('-') ? ',{"_placeholder":true,"num":0}' : '';
    return `${head}${namespace}${id}["a"${place},${nested(depth)}]`;
  });

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** What comes out of the decoder when every attachment that it waits for comes. */
function decode(text: string): unknown[] {
  const decoder = new Decoder();
  const packets: unknown[] = [];
  decoder.on('decoded', (packet: { data?: unknown }) => packets.push(packet.data));
  try {
    decoder.add(text);
    for (let sent = 0; packets.length === 0 && sent < 10; sent += 1) decoder.add(Buffer.from('x'));
  } catch {
    // Refused: the transport closes.
  }
  decoder.destroy();
  return packets;
}

describe('when any text comes as a packet', () => {
  it('never takes JSON that is deeper than allowed', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.oneof(confused, likely), (text) => {
        const packets = decode(text);
        taken += packets.length;
        for (const data of packets) expect(depthOf(data)).toBeLessThanOrEqual(MAX_JSON_DEPTH);
      }),
      { numRuns: 5_000 },
    );
    expect(taken).toBeGreaterThan(100);
  });
});
