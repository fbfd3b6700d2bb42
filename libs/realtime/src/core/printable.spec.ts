import { onOneLine, printable } from './printable.js';

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

describe('when a text is put on one line', () => {
  it.each([
    ['a plain text', 'no such "chat"', 'no such "chat"'],
    ['line breaks and tabs', 'x\r\n\ty', 'x\\r\\n\\ty'],
    ['escape sequences', 'x\u001b[31m\u009b2J', 'x\\u{1b}[31m\\u{9b}2J'],
    ['format characters and separators', 'x\u202e\u2028', 'x\\u{202e}\\u{2028}'],
    ['half a character', 'x\ud800y', 'x\\u{d800}y'],
  ])('escapes %s', (_name, text, expected) => expect(onOneLine(text)).toBe(expected));
});
