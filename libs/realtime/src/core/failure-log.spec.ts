import { ManualClock } from '../testing/manual-clock.js';
import { FailureLog } from './failure-log.js';

function capture() {
  const clock = new ManualClock();
  const entries: { line: string; stack: string }[] = [];
  const log = new FailureLog(clock, (line, stack) => entries.push({ line, stack }));
  return { clock, entries, log };
}

const here = (message: string): Error => new Error(message);
const elsewhere = (message: string): Error => new TypeError(message);

describe('when handlers throw again and again', () => {
  it('says one entry a second for each event and place, and counts the others', () => {
    const { clock, entries, log } = capture();
    for (let index = 0; index < 100; index += 1) log.say('Failure', 'a', here(`no chat ${index}`));
    log.say('Failure', 'b', here('another event'));
    log.say('Failure', 'a', elsewhere('another place'));
    clock.advance(1_000);
    log.say('Failure', 'a', here('later'));
    expect(entries.map(({ line }) => line)).toEqual([
      'Failure in "a"',
      'Failure in "b"',
      'Failure in "a"',
      'Failure in "a" (and 99 more since)',
    ]);
  });

  it('stays quiet when a client invents the events', () => {
    const { entries, log } = capture();
    for (let index = 0; index < 10_000; index += 1) log.say('Failure', `event-${index}`, here('no'));
    expect(entries.length).toBeLessThan(300);
  });
});

describe('when a message holds what a client sent', () => {
  const stackOf = (error: unknown): string => {
    const { entries, log } = capture();
    log.say('Failure', 'a', error);
    return entries[0]?.stack ?? '';
  };

  it.each([
    ['a line', 'x\r\n[Nest] ERROR forged'],
    ['a frame', 'x\n    at forged (file.js:1:1)'],
    ['an escape sequence', 'x\u001b[31m\u009b2J'],
    ['a right-to-left override', 'x\u202e'],
    ['the start of the stack', 'Error'],
    ['nothing', ''],
  ])('keeps the frames apart from %s', (_name, message) => {
    const [first, second] = stackOf(here(message)).split('\n');
    expect(first).toMatch(/^Error/);
    expect(first).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(second).toMatch(/^ {4}at here/);
  });

  it('escapes what was changed after it was thrown, and indents what is no frame', () => {
    const error = here('x');
    error.stack = `Error: y\r\n    at a (b.js:1:1)\nCaused by: \u001b[31m\n[Nest] forged`;
    expect(stackOf(error)).toBe('Error: y\\r\n    at a (b.js:1:1)\n    Caused by: \\u{1b}[31m\n    [Nest] forged');
  });

  it('cuts long ones, and keeps the frames', () => {
    const stack = stackOf(here('y'.repeat(100_000)));
    expect(stack.length).toBeLessThan(9_000);
    expect(stack).toMatch(/…\n {4}at here/);
  });

  it.each([
    ['a text', 'x\ny', 'x\\ny'],
    ['nothing', undefined, 'undefined'],
    ['an object without a prototype', Object.create(null), '[Object: null prototype] {}'],
    [
      'an object of another service',
      { code: 'E1', message: 'x\r\n[Nest] forged' },
      "{ code: 'E1', message: 'x\\r\\n[Nest] forged' }",
    ],
    [
      'an object whose getters throw',
      {
        get message(): string {
          throw new Error('no');
        },
      },
      '{ message: [Getter] }',
    ],
  ])('prints %s', (_name, thrown, expected) => expect(stackOf(thrown)).toBe(expected));

  it('cuts objects that hold much, or themselves', () => {
    const much: Record<string, unknown> = { list: Array.from({ length: 10_000 }, () => 'y'.repeat(10_000)) };
    much['self'] = much;
    const text = stackOf(much);
    expect(text).toMatch(/^.* list: \[ 'yyy/);
    expect(text.length).toBeLessThan(1_100);
  });
});
