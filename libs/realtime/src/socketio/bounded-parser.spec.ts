import { ManualClock } from '../testing/manual-clock.js';
import { boundedParser } from './bounded-parser.js';
import { MALFORMED_EVENT, MAX_JSON_DEPTH, isDeeperThan } from './packet-bounds.js';

const clock = new ManualClock();
const { Decoder: BoundedDecoder } = boundedParser({ clock, attachmentsWithinMs: 10_000 });

afterEach(() => expect(clock.pending).toBe(0));

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

function decode(packet: string): unknown {
  const decoder = new BoundedDecoder();
  const packets: unknown[] = [];
  decoder.on('decoded', (decoded: unknown) => packets.push(decoded));
  decoder.add(packet);
  decoder.destroy();
  return packets[0];
}

describe('when JSON is measured', () => {
  it.each([
    ['exactly as deep as allowed', nested(4), 4, false],
    ['one level deeper', nested(5), 4, true],
    ['objects and lists together', '[{"a":[{"b":1}]}]', 3, true],
    ['brackets inside of a text', `["${'['.repeat(50)}"]`, 4, false],
    ['an escaped quote before brackets', `["\\"${'['.repeat(50)}"]`, 4, false],
    ['an escaped backslash at the end of a text', `["\\\\",${nested(6)}]`, 4, true],
    ['a text that never ends', `["${'['.repeat(50)}`, 4, false],
  ])('%s', (_name, json, max, expected) => expect(isDeeperThan(json, max)).toBe(expected));
});

describe('when a packet is decoded', () => {
  const deep = nested(MAX_JSON_DEPTH + 1);

  it.each([
    ['an event', '2["a",1]', { type: 2, nsp: '/', data: ['a', 1] }],
    ['an event with an ack in a namespace', '2/chat,17["a"]', { type: 2, nsp: '/chat', id: 17, data: ['a'] }],
    ['a deep event', `2/chat,17["a",${deep}]`, { type: 2, nsp: '/chat', id: 17, data: [MALFORMED_EVENT] }],
    ['a CONNECT', '0/chat,{"token":"t"}', { type: 0, nsp: '/chat', data: { token: 't' } }],
    ['a CONNECT without auth', '0', { type: 0, nsp: '/' }],
    ['a CONNECT without auth in a namespace', '0/chat,', { type: 0, nsp: '/chat' }],
    ['an ack', '317["a"]', { type: 3, nsp: '/', id: 17, data: ['a'] }],
  ])('reads %s', (_name, packet, expected) => expect(decode(packet)).toEqual(expected));

  it.each([['5'], ['-5'], ['[1]'], ['null'], ['"token"'], ['true']])('reads the auth %s as a bad token', (auth) => {
    expect(decode(`0/chat,${auth}`)).toEqual({ type: 0, nsp: '/chat', data: { token: false } });
  });

  it.each([
    ['an event without anything', '2'],
    ['an event without anything but an ack id', '2/chat,17'],
    ['an ack id that no number holds', `2${'9'.repeat(400)}["a"]`],
    ['an event in the name of Socket.IO', '2["disconnect"]'],
    ['a deep ack', `317${deep}`],
    ['a deep CONNECT', `0{"a":${deep}}`],
    ['a deep binary event', `51-["a",${deep}]`],
    ['a deep binary event whose namespace holds a quote', `51-/a",["a",${deep}]`],
    ['a text that is no packet', 'hello'],
    ['nothing', ''],
    ['a type that is a space', ' {"token":"t"}'],
    ['a space in place of an ack id', '2 ["a"]'],
    ['an ack id with a space', '2/chat,1 ["a"]'],
    ['an ack id of a binary event that no number holds', `51-${'9'.repeat(300)}["a",{"_placeholder":true,"num":0}]`],
    ['an ack id of an ack that no number holds', `3${'9'.repeat(300)}["a"]`],
    ...['1e0', '01', '+1', ' 1', '1\t', '0x1', '1.0', '0', '', '100', '1 '].map((count): [string, string] => [
      `the count '${count}' of attachments`,
      `5${count}-["a",{"_placeholder":true,"num":0}]`,
    ]),
    ['a deep binary event with a count that is none, and a quote in its namespace', `51e0-/d",5["a",${deep}]`],
  ])('refuses %s', (_name, packet) => expect(() => decode(packet)).toThrow());
});

describe('when packets follow a DISCONNECT in the same read', () => {
  it('decodes them in order, after Socket.IO had its turn', async () => {
    const decoder = new BoundedDecoder();
    const seen: unknown[] = [];
    decoder.on('decoded', ({ type }: { type: number }) => seen.push(type));
    for (const packet of ['2["a"]', '1', '0', '2["b"]', '1', '2["c"]']) decoder.add(packet);
    expect(seen).toEqual([2, 1]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([2, 1, 0, 2, 1, 2]);
  });

  it('says by an invalid packet that one of them is malformed, and forgets them when it is destroyed', async () => {
    const seen: unknown[] = [];
    const decoder = new BoundedDecoder();
    const gone = new BoundedDecoder();
    for (const one of [decoder, gone]) {
      one.on('decoded', ({ type }: { type: number }) => seen.push(type));
      for (const packet of ['1', 'x']) one.add(packet);
    }
    gone.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([1, 1, 4]);
  });
});

describe('when a packet has attachments', () => {
  const types = (...packets: unknown[]): { decoder: InstanceType<typeof BoundedDecoder>; seen: number[] } => {
    const decoder = new BoundedDecoder();
    const seen: number[] = [];
    decoder.on('decoded', ({ type }: { type: number }) => seen.push(type));
    for (const packet of packets) decoder.add(packet);
    return { decoder, seen };
  };
  const two = '52-["file",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]';

  it('waits for all of them', () => {
    const { seen } = types(two, Buffer.from('a'), Buffer.from('b'));
    // Complete, it is an event like any other.
    expect(seen).toEqual([2]);
  });

  it('gives up when they do not come in time', () => {
    const { decoder, seen } = types(two, Buffer.from('a'));
    clock.advance(9_999);
    expect(seen).toEqual([]);
    clock.advance(1);
    expect(seen).toEqual([4]);
    decoder.destroy();
  });

  it('stops waiting when the transport ends', () => {
    const { decoder, seen } = types(two);
    decoder.destroy();
    clock.advance(20_000);
    expect(seen).toEqual([]);
  });

  it.each([
    ['a text in between', [two, '2["a"]']],
    ['an attachment that nobody announced', [Buffer.from('a')]],
    ['too many of them', ['5100000-["file"]']],
    ['one in two places', ['51-["file",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":0}]]']],
    ['one in no place', ['52-["file",{"_placeholder":true,"num":0}]']],
    ['a number between two', ['51-["file",{"_placeholder":true,"num":0.5}]']],
    ['a place without a number', ['51-["file",{"_placeholder":true}]']],
    ['a place inside of a place', ['51-["file",{"_placeholder":true,"num":{"_placeholder":true,"num":0}}]']],
    ['a number that is none', ['51-["file",{"_placeholder":true,"num":7}]', Buffer.from('a')]],
    ['no count', ['5["file"]']],
  ])('refuses %s', (_name, packets) => {
    const decoder = new BoundedDecoder();
    expect(() => packets.forEach((packet) => decoder.add(packet))).toThrow();
    decoder.destroy();
  });
});
