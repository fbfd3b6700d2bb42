import { ManualClock } from '../testing/manual-clock.js';
import { RefusalLog, printable } from './refusal-log.js';

describe('when a text of a client is printed', () => {
  it.each([
    ['a plain name', 'message.send', '"message.send"'],
    ['line breaks', 'x\r\n[Nest] forged', '"x\\r\\n[Nest] forged"'],
    ['an escape sequence', 'x\u001b[2J\u0007', '"x\\u001b[2J\\u0007"'],
    ['eight-bit control characters', 'x\u009b2J\u0085\u007f', '"x?2J??"'],
    ['separators of lines', 'x\u2028y\u2029', '"x?y?"'],
    ['a right-to-left override', 'x\u202eemit\u2066', '"x?emit?"'],
    ['half a character', 'x\ud800', '"x\\ud800"'],
    ['quotes', 'x" with NOT_FOUND', '"x\\" with NOT_FOUND"'],
    ['10 KB', 'x'.repeat(10_000), `"${'x'.repeat(64)}…"`],
  ])('escapes %s', (_name, text, expected) => expect(printable(text)).toBe(expected));

  it('stays short when everything has to be escaped', () => {
    expect(printable('\u0001'.repeat(10_000)).length).toBeLessThan(500);
  });
});

describe('when much is refused', () => {
  it('says one line a second and kind, and counts the others', () => {
    const clock = new ManualClock();
    const lines: string[] = [];
    const log = new RefusalLog(clock, (line) => lines.push(line));
    for (let index = 0; index < 100; index += 1) log.say('NOT_FOUND', `e${index}`, 'here');
    log.say('BAD_REQUEST', 'other', 'here');
    clock.advance(1_000);
    log.say('NOT_FOUND', 'later', 'here');
    expect(lines).toEqual([
      'Refused "e0" with NOT_FOUND here',
      'Refused "other" with BAD_REQUEST here',
      'Refused "later" with NOT_FOUND here (and 99 more since)',
    ]);
  });
});
