import fc from 'fast-check';
import { decodeSegment, encodeSegment, isRoomName, roomName, roomNameProblem, userRoom } from './names.js';

const FULL_NAME = /^[\w\-.:/@|+%]{1,200}$/;
const UNFIT = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** What stands for something, so that two of them often stand for the same. */
const segment = fc
  .array(fc.constantFrom('a', ':', '@', '%40', '%3A', '%3a', '%61', '%2F', '%2E', '.', '%', '%C3%A9', '%25'), {
    maxLength: 3,
  })
  .map((parts) => parts.join(''));
const name = fc
  .array(fc.oneof({ weight: 3, arbitrary: segment }, { weight: 1, arbitrary: fc.constantFrom('user', '%75ser') }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((segments) => segments.join('/'));

const decoded = (room: string): string => JSON.stringify(room.split('/').map(decodeSegment));

describe('the name of a room', () => {
  it('is one: two names that are accepted never stand for the same segments', () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 2, maxLength: 40 }), (names) => {
        const accepted = names.filter(isRoomName);
        expect(new Set(accepted.map(decoded)).size).toBe(accepted.length);
      }),
      { numRuns: 500 },
    );
  });

  it('is there for every name that would have been another one of it: the refusal says which', () => {
    fc.assert(
      fc.property(name, (room) => {
        const canonical = /^must be '(.*)': a room has one name$/.exec(roomNameProblem(room) ?? '')?.[1];
        if (canonical === undefined) return;
        expect(isRoomName(canonical)).toBe(true);
        expect(decoded(canonical)).toBe(decoded(room));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is what filling a pattern and a user id give, unless they stand for what no name may hold', () => {
    const value = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }).filter((text) => !UNFIT.test(text));
    fc.assert(
      fc.property(value, value, (first, second) => {
        fc.pre(![first, second].some((text) => text === '.' || text === '..') && !first.startsWith('realtime:'));
        const room = roomName(':first/:second', { first, second });
        for (const made of [room, userRoom(first), `chat/${encodeSegment(first)}`]) {
          expect(made).toMatch(FULL_NAME);
          expect(roomNameProblem(made)).toBeUndefined();
        }
        expect(room.split('/').map(decodeSegment)).toEqual([first, second]);
        expect(userRoom(first)).toBe(roomName('user/:id', { id: first }));
      }),
    );
  });

  it.each([
    'chat/42',
    'chat:general',
    'team@x',
    'a|b+c',
    'chat/a%20b',
    'chat/100%25',
    'chat/a%2Fb',
    'chat/caf%C3%A9',
    'user/auth0%7C1',
    'user/ada',
    'chat/...',
    '/chat//x/',
  ])('may be %s', (room) => {
    expect(roomNameProblem(room)).toBeUndefined();
  });

  it.each([
    ['chat/%61dmin', "must be 'chat/admin': a room has one name"],
    ['%75ser/ada', "must be 'user/ada': a room has one name"],
    ['chat/a%2fb', "must be 'chat/a%2Fb': a room has one name"],
    ['team%40x', "must be 'team@x': a room has one name"],
    ['user/auth0|1', "must be 'user/auth0%7C1': a room has one name"],
    ['chat/%25%36%31', "must be 'chat/%2561': a room has one name"],
    ['chat/%E0%A4%A', 'must not have an escape that stands for no character'],
    ['100%', 'must not have an escape that stands for no character'],
    ['chat/%C0%AF', 'must not have an escape that stands for no character'],
    ['chat/%00', 'must not hold control or bidi characters'],
    ['chat/%0D%0A', 'must not hold control or bidi characters'],
    ['chat/%E2%80%AEx', 'must not hold control or bidi characters'],
    ['chat/%E2%80%A8', 'must not hold control or bidi characters'],
    ['chat/..', "must not have the segment '.' or '..'"],
    ['./chat', "must not have the segment '.' or '..'"],
    ['chat/%2E%2E', "must not have the segment '.' or '..'"],
    ['chat/%2e', "must not have the segment '.' or '..'"],
    ['realtime:x', "must not start with 'realtime:'"],
    ['realtime%3Ax', "must not start with 'realtime:'"],
    ['', 'must be 1 to 200 characters of A-Z a-z 0-9 _ - . : / @ | + %: use roomName()'],
    [7, 'must be 1 to 200 characters of A-Z a-z 0-9 _ - . : / @ | + %: use roomName()'],
  ])('may not be %j', (room, problem) => {
    expect(roomNameProblem(room)).toBe(problem);
    expect(isRoomName(room)).toBe(false);
  });
});

describe('roomName', () => {
  it.each<[string, Record<string, string>, string]>([
    ['chat/:id', { id: 'a b' }, 'chat/a%20b'],
    ['chat/:id', { id: 'auth0|1' }, 'chat/auth0|1'],
    ['user/:id', { id: 'auth0|1' }, 'user/auth0%7C1'],
    [':kind/:id', { kind: 'user', id: 'a:b' }, 'user/a%3Ab'],
    ['chat/:id', { id: "!'()*~/%" }, 'chat/%21%27%28%29%2A%7E%2F%25'],
    ['caf%C3%A9/:id', { id: '%61' }, 'caf%C3%A9/%2561'],
  ])('fills %s with %j: %s', (pattern, params, room) => {
    expect(roomName(pattern, params)).toBe(room);
  });

  it.each<[string, Record<string, string>]>([
    ['chat/:id', {}],
    ['chat/:id', { id: '' }],
    ['chat/:id', { id: '..' }],
    ['chat/:id', { id: 'a\u0000' }],
    ['chat/:id', { id: '\u202e' }],
    ['chat/:id', { id: '\ud800' }],
    ['chat/:id', { id: 'x'.repeat(200) }],
    ['chat/100%', {}],
  ])('refuses %s with %j by a TypeError', (pattern, params) => {
    expect(() => roomName(pattern, params)).toThrow(TypeError);
  });
});
