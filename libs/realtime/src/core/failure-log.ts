import { inspect } from 'node:util';
import type { Clock } from './clock.js';
import { onOneLine, printable } from './printable.js';
import { QuietKinds } from './quiet-kinds.js';

/** Characters of a failure's message and of its stack that are logged. */
const MAX_MESSAGE = 1_000;
const MAX_STACK = 8_000;

/**
 * Says failures with their stacks. A client may cause any number of them, and put its own text into their messages: so one
 * entry a second for each event and place that throws, and nothing in it that breaks a line or steers a terminal.
 */
export class FailureLog {
  private readonly kinds: QuietKinds;

  constructor(
    clock: Clock,
    private readonly write: (line: string, stack: string) => void,
  ) {
    this.kinds = new QuietKinds(clock);
  }

  /** @param what in our words; `event` may be a client's. */
  say(what: string, event: string | undefined, error: unknown): void {
    const { message, frames } = describe(error);
    const more = this.kinds.say(`${what}\n${event ?? ''}\n${frames[0] ?? typeof error}`);
    if (more === undefined) return;
    const stack = [message, ...frames].join('\n');
    this.write(`${what}${event === undefined ? '' : ` in ${printable(event)}`}${more}`, stack.slice(0, MAX_STACK));
  }
}

/** On one line each. Never throws: an app may throw things whose `stack` or `toString` do. */
function describe(error: unknown): { message: string; frames: readonly string[] } {
  try {
    if (!(error instanceof Error)) return { message: shorten(textOf(error)), frames: [] };
    const stack = String(error.stack ?? error);
    const end = endOfMessage(stack, error.message);
    const frames = stack.slice(end).split('\n').slice(1);
    return { message: shorten(stack.slice(0, end)), frames: frames.map(indented) };
  } catch {
    return { message: 'something that cannot be printed', frames: [] };
  }
}

/** What was thrown and is no error: other services throw plain objects, for example, which say nothing as strings. */
function textOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return String(thrown);
  return inspect(thrown, INSPECTED);
}

/** Calls no code of the thing: neither getters nor its own `inspect`. */
const INSPECTED = {
  depth: 3,
  maxArrayLength: 20,
  maxStringLength: MAX_MESSAGE,
  breakLength: Infinity,
  compact: true,
  customInspect: false,
} as const;

/** Lines of the message are no frames, however much they look like them. */
function endOfMessage(stack: string, message: string): number {
  const at = stack.indexOf(message);
  const end = at === -1 ? stack.search(/\n\s+at /) : stack.indexOf('\n', at + message.length);
  return end === -1 ? stack.length : end;
}

/** A line that begins with a space is nobody's entry. */
function indented(line: string): string {
  return onOneLine(line.startsWith(' ') ? line : `    ${line}`);
}

function shorten(message: string): string {
  return onOneLine(message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message);
}
