/** Characters of a client's text that reach a log line. */
const MAX_TEXT = 64;
/** Control and format characters (they reverse and hide text), separators of lines, and halves of characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** JSON escapes quotes and most control characters: no line of ours can be forged or broken. */
export function printable(text: string): string {
  return JSON.stringify(text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text).replace(UNPRINTABLE, '?');
}

/** One line without quotes: what cannot be printed is written as an escape, line feeds included. */
export function onOneLine(text: string): string {
  return text.replace(UNPRINTABLE, (char) => SHORT[char] ?? `\\u{${char.codePointAt(0)?.toString(16)}}`);
}
