import fc from 'fast-check';
import { MAX_ATTACHMENTS } from './publication-body.js';
import { isForMember } from './publication-header.js';
import {
  decodeLogEntry,
  decodeRoomMessage,
  encodeRoomMessage,
  readPublication,
  toEvent,
  toPayload,
  type OutgoingMessage,
} from './room-message.js';

const message: OutgoingMessage = { room: 'chat/1', event: 'message', data: { text: 'hi' }, id: 'x' };

/** What sockets are given of it, decoded. */
function content(outgoing: OutgoingMessage, firstLine = 'm'): readonly unknown[] {
  const decoded = decodeRoomMessage(`${firstLine}\n${encodeRoomMessage(outgoing)}`);
  if (!decoded) throw new Error('not decoded');
  return toEvent(decoded).content;
}

describe('what travels on a room channel', () => {
  it('is a header line and the elements of a JSON array, whose last object is left open', () => {
    const text = encodeRoomMessage(message);
    expect(text).toBe('{}\n"message",{"text":"hi"},{"room":"chat/1","id":"x"');
    expect(toPayload(text)).toBe(`m\n${text}`);
  });

  it('is framed without being parsed, with its position put behind it', () => {
    const decoded = decodeRoomMessage(`m5 abc\n${encodeRoomMessage({ ...message, publisher: 'ada' })}`);
    expect(decoded).toMatchObject({ position: { offset: 5, epoch: 'abc' }, event: 'message', header: {} });
    expect(decoded && toEvent(decoded).json).toBe(
      '["message",{"text":"hi"},{"room":"chat/1","id":"x","publisher":"ada","offset":5,"epoch":"abc"}]',
    );
  });

  it('has no position when the room keeps nothing', () => {
    const { id: _id, ...emitted } = message;
    expect(content(emitted)).toEqual(['message', { text: 'hi' }, { room: 'chat/1' }]);
  });

  it('carries whom to leave out, and how', () => {
    const header = { x: ['c1'], d: [['ada', 'tab']] as const, v: 1 as const, n: 'node' };
    expect(decodeRoomMessage(`m\n${encodeRoomMessage({ ...message, header })}`)?.header).toEqual(header);
  });

  it.each([
    ['undefined', undefined, null],
    ['null', null, null],
    ['a zero', 0, 0],
    ['line and paragraph separators', '\u2028\u2029\n\r', '\u2028\u2029\n\r'],
    ['a lone surrogate', '\ud800', '\ud800'],
    ['a key __proto__', JSON.parse('{"__proto__":{"admin":true}}'), JSON.parse('{"__proto__":{"admin":true}}')],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['the name of a placeholder', { _placeholder: 'true', num: 0 }, { _placeholder: 'true', num: 0 }],
    [
      'a toJSON that returns itself',
      {
        a: 1,
        toJSON() {
          return this;
        },
      },
      { a: 1 },
    ],
  ])('keeps %s', (_name, data, expected) => {
    expect(content({ ...message, data })[1]).toEqual(expected);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it.each([
    ['a buffer', Buffer.from([1, 2, 255]), Buffer.from([1, 2, 255])],
    ['an empty one', new Uint8Array(0), Buffer.alloc(0)],
    ['part of a buffer', new Uint8Array([0, 1, 2, 3]).subarray(1, 3), Buffer.from([1, 2])],
    ['an ArrayBuffer', new Uint8Array([7]).buffer, Buffer.from([7])],
    ['a view of floats', new Float32Array([1]), Buffer.from([0, 0, 128, 63])],
    [
      'nested ones',
      { a: [{ b: Buffer.from('x') }], c: Buffer.from('y') },
      { a: [{ b: Buffer.from('x') }], c: Buffer.from('y') },
    ],
    ['one that toJSON returns', { toJSON: () => ({ b: Buffer.from('z') }) }, { b: Buffer.from('z') }],
    [
      'one under __proto__',
      Object.defineProperty({}, '__proto__', { value: Buffer.from('p'), enumerable: true }),
      Object.defineProperty({}, '__proto__', { value: Buffer.from('p'), enumerable: true }),
    ],
  ])('keeps binary data: %s', (_name, data, expected) => {
    expect(content({ ...message, data })[1]).toEqual(expected);
    expect(readPublication({ offset: 1, text: encodeRoomMessage({ ...message, data }) })?.data).toEqual(expected);
  });

  it('gives back any data as JSON has it, live and from the log', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary', minLength: 1, maxLength: 256 }), (data, name) => {
        const event = `e${name}`.slice(0, 256);
        const outgoing = { ...message, event, data };
        const expected: unknown = JSON.parse(JSON.stringify(data));
        expect(content(outgoing, 'm7 e')).toEqual([
          event,
          expected,
          { room: 'chat/1', id: 'x', offset: 7, epoch: 'e' },
        ]);
        expect(readPublication({ offset: 7, text: encodeRoomMessage(outgoing) })).toEqual({
          event,
          data: expected,
          id: 'x',
          offset: 7,
        });
      }),
    );
  });

  it.each([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a BigInt', { n: 1n }],
    ['a cycle', cycle()],
    ['too many attachments', Array.from({ length: MAX_ATTACHMENTS + 1 }, () => Buffer.from('a'))],
    ["a placeholder that is not Socket.IO's, beside text", { a: [{ b: { _placeholder: true, num: 0 } }] }],
    ['one that toJSON makes', { toJSON: () => ({ _placeholder: true, num: 0 }) }],
    [
      "a placeholder that is not Socket.IO's, beside binary values",
      { a: Buffer.from('a'), b: { _placeholder: true, num: 7 } },
    ],
  ])('refuses %s', (_name, data) => expect(() => encodeRoomMessage({ ...message, data })).toThrow());

  it.each([
    '',
    'm',
    'm\n',
    'm\n{}',
    'm\n{}\n',
    'm\n{}\n"a"',
    'm\n{}\n"",1,{"room":"r"',
    'm\n{}\n"realtime:hello",1,{"room":"r"',
    'm\n{}\n"disconnect",1,{"room":"r"',
    'm\n{}\n"\\u0064isconnect",1,{"room":"r"',
    'm\n{}\n"\\x",1,{"room":"r"',
    'm\n{}\n5,1,{"room":"r"',
    'm\nnull\n"a",1,{"room":"r"',
    'm\n[]x\n"a",1,{"room":"r"',
    'm\n{"x":"c1"}\n"a",1,{"room":"r"',
    'm\n{"x":[1]}\n"a",1,{"room":"r"',
    'm\n{"d":[["ada"]]}\n"a",1,{"room":"r"',
    'm\n{"v":2}\n"a",1,{"room":"r"',
    'm\n{"b":"AA=="}\n"a",1,{"room":"r"',
    'm5\n{}\n"a",1,{"room":"r"',
    'm5 \n{}\n"a",1,{"room":"r"',
    'm-5 e\n{}\n"a",1,{"room":"r"',
    'm5 "e\n{}\n"a",1,{"room":"r"',
    'm9999999999999999999 e\n{}\n"a",1,{"room":"r"',
    'm["a",1,{"room":"r"},0,0,0]',
  ])('is ignored when it is not ours: %j', (payload) => expect(decodeRoomMessage(payload)).toBeUndefined());

  it('never throws, whatever comes', () => {
    const mutated = fc.tuple(fc.nat(80), fc.string({ unit: 'binary', maxLength: 4 })).map(([at, text]) => {
      const payload = `m5 abc\n${encodeRoomMessage({ ...message, header: { x: ['c'] }, data: Buffer.from('b') })}`;
      return payload.slice(0, at) + text + payload.slice(at + 1);
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string({ unit: 'binary' })), (payload) => {
        const decoded = decodeRoomMessage(payload);
        if (decoded) void toEvent(decoded).content;
        readPublication({ offset: 1, text: payload });
      }),
    );
  });
});

describe('an entry of a log', () => {
  it('is the message that its channel carried', () => {
    const text = encodeRoomMessage(message);
    expect(decodeLogEntry({ offset: 5, text }, 'abc')).toEqual(decodeRoomMessage(`m5 abc\n${text}`));
  });

  it.each([
    '',
    '{}\n',
    '{}\n"a",1',
    '{}\n"a",1,{"room":"r"',
    '{}\n"a",1,{"id":5',
    '{}\n"a",}{,{"id":"1"',
    'x\n"a",1,{"id":"1"',
  ])('is no publication when it is not ours: %j', (text) =>
    expect(readPublication({ offset: 1, text })).toBeUndefined(),
  );
});

describe('who a publication is for', () => {
  const member = { link: { id: 'c1' }, principal: { id: 'ada' }, device: 'tab' };

  it.each([
    [{}, true],
    [{ x: ['c1'] }, false],
    [{ x: ['c2'] }, true],
    [{ x: ['c0'], d: [['ada', 'tab']] as const }, false],
    [
      {
        x: ['c0'],
        d: [
          ['ada', 'phone'],
          ['bob', 'tab'],
        ] as const,
      },
      true,
    ],
  ])('%j: %s', (header, isFor) => expect(isForMember(header, member)).toBe(isFor));
});

function cycle(): unknown {
  const data: { self?: unknown } = {};
  data.self = data;
  return data;
}
