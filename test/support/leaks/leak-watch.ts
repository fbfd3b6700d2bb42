import { randomBytes } from 'node:crypto';
import { LineText } from './line-text.js';
import { Secrets, type Secret } from './secrets.js';
import { Wiretap, type Line } from './wiretap.js';

/** The packet that opens a transport: the only place in which its id may stand. */
const OPEN = /0\{"sid":"([^"]+)","upgrades":/g;
const SID_OF_REQUEST = /^(?:GET|POST) \S*[?&]sid=([^&\s]+)/gm;
const SET_COOKIE = /^set-cookie: .*$/gim;
/** Shorter ones may stand anywhere by chance, and servers of tests that are no servers make up such ids. */
const MIN_LENGTH = 16;
const CREDENTIALS = [
  /"token":"([^"\\]+)"/g,
  /^authorization: \w+ (\S+)/gim,
  /[?&](?:access_)?token=([^&\s]+)/g,
  /^cookie: (.+)$/gim,
];
/** A line that has said more is read at once, so that a long test keeps little. */
const READ_AT_BYTES = 4_194_304;
const MAX_TOLD = 10;

/**
 * Remembers the id of every transport, every token, cookie and canary that goes over the wire in this process, and looks for
 * them in all that clients receive and in all that nodes send to Redis. `watch.setup.ts` does so after each test.
 */
export class LeakWatch implements Disposable {
  private readonly secrets = new Secrets();
  private readonly texts = new WeakMap<Line, LineState>();
  private readonly usersOfSid = new Map<string, Set<string>>();
  private readonly leaks = new Map<string, string>();
  private readonly tap = new Wiretap((line) => this.heard(line));

  remember(secret: Omit<Secret, 'isCredential'>): void {
    this.secrets.add({ ...secret, isCredential: false });
  }

  /** A token, whoever sends it. Of a JWT it is the signature that is looked for. */
  rememberToken(token: string): void {
    if (token.length < MIN_LENGTH) return;
    const [, , signature] = token.split('.');
    const text = signature !== undefined && signature.length > MIN_LENGTH ? signature : token;
    this.secrets.add({ text, what: `the token of ${userOf(token) ?? 'somebody'}`, users: [], isCredential: true });
  }

  /** Looks for transports' ids, tokens and cookies in what went elsewhere. `check` says what was there. */
  look(text: string, place: string): void {
    this.read(this.tap.take());
    this.search(text, { place, isAllowed: ({ isCredential }) => !isCredential });
  }

  /** @throws Error that says what reached whom since it was last asked. */
  check(): void {
    this.read(this.tap.take());
    const leaks = [...this.leaks.values()];
    this.leaks.clear();
    if (leaks.length > 0) throw new Error(`Secrets have left:\n${leaks.slice(0, MAX_TOLD).join('\n')}`);
  }

  [Symbol.dispose](): void {
    this.tap[Symbol.dispose]();
  }

  private heard(line: Line): void {
    const state = this.stateOf(line);
    state.bytes += line.received.at(-1)?.length ?? 0;
    if (state.bytes > READ_AT_BYTES) this.read([line]);
  }

  /** First all that is to be found, then where it is: a leak may come before what it leaks is seen at its owner's. */
  private read(lines: readonly Line[]): void {
    const states = lines.map((line) => ({ line, state: this.stateOf(line) }));
    const sent = states.map(({ line, state }) => this.readSent(line, state));
    const received = states.map(({ line, state }) => this.readReceived(line, state));
    for (const [index, { state }] of states.entries()) {
      state.bytes = 0;
      if (state.isRedis) this.search(sent[index] ?? '', REDIS);
      else this.search(received[index] ?? '', clientOf(this.usersOf(state)));
    }
  }

  private stateOf(line: Line): LineState {
    const known = this.texts.get(line);
    if (known) return known;
    const made: LineState = {
      sent: new LineText(),
      received: new LineText(),
      users: new Set(),
      sids: new Set(),
      bytes: 0,
    };
    this.texts.set(line, made);
    return made;
  }

  private readSent(line: Line, state: LineState): string {
    state.isRedis ??= line.sent[0] === undefined ? undefined : line.sent[0][0] === REDIS_ARRAY;
    const text = state.sent.read(line.sent);
    if (state.isRedis) return text;
    for (const [, sid = ''] of text.matchAll(SID_OF_REQUEST)) state.sids.add(sid);
    for (const pattern of CREDENTIALS)
      for (const [, value = ''] of text.matchAll(pattern)) this.credential(value, state);
    for (const sid of state.sids) this.share(sid, state.users);
    return text;
  }

  private credential(value: string, state: LineState): void {
    for (const part of value.split(/; ?/)) {
      const token = part.replace(/^[\w.-]+=/, '');
      this.rememberToken(token);
      const user = userOf(token);
      if (user !== undefined) state.users.add(user);
    }
  }

  private readReceived(line: Line, state: LineState): string {
    // What Redis answers, or monitors, was sent by a node before.
    state.isHttp ??= line.received[0]?.toString('latin1', 0, HTTP.length).startsWith(HTTP);
    if (!state.isHttp) {
      line.received.length = 0;
      return '';
    }
    return state.received.read(line.received, (text) => this.withoutOwn(text, state));
  }

  /** Without what a client must be told of its own connection. */
  private withoutOwn(text: string, state: LineState): string {
    const opened = text.replaceAll(OPEN, (whole, sid: string) => {
      state.sids.add(sid);
      this.share(sid, state.users);
      const whose = named(this.usersOf(state));
      if (sid.length >= MIN_LENGTH)
        this.secrets.add({ text: sid, what: `the transport's id of ${whose}`, users: [], isCredential: true });
      return whole.replace(sid, '');
    });
    return opened.replaceAll(SET_COOKIE, '');
  }

  /** The users of a transport are those of all its polls. */
  private share(sid: string, users: ReadonlySet<string>): void {
    const known = this.usersOfSid.get(sid) ?? new Set<string>();
    this.usersOfSid.set(sid, known);
    for (const user of users) known.add(user);
  }

  private usersOf({ users, sids }: LineState): string[] {
    return [...new Set([...users, ...[...sids].flatMap((sid) => [...(this.usersOfSid.get(sid) ?? [])])])];
  }

  private search(text: string, { place, isAllowed }: Place): void {
    for (const { secret, at } of text === '' ? [] : this.secrets.in(text)) {
      if (isAllowed(secret)) continue;
      const around = text.slice(Math.max(0, at - 80), at + secret.text.length + 20);
      this.leaks.set(`${secret.text} ${place}`, `- ${secret.what} reached ${place}: ${JSON.stringify(around)}`);
    }
  }
}

interface Place {
  readonly place: string;
  isAllowed(secret: Secret): boolean;
}

/** What some users may read may wait for them here. */
const REDIS: Place = { place: 'Redis', isAllowed: ({ users }) => users.length > 0 };

function clientOf(users: readonly string[]): Place {
  return {
    place: named(users),
    isAllowed: (secret) => users.length > 0 && users.every((user) => secret.users.includes(user)),
  };
}

function named(users: readonly string[]): string {
  return users.length === 0 ? 'somebody without a token' : users.join(' and ');
}

interface LineState {
  readonly sent: LineText;
  readonly received: LineText;
  /** In whose names this connection has spoken. */
  readonly users: Set<string>;
  /** Transports that it has served: several if it is kept alive between polls. */
  readonly sids: Set<string>;
  /** Undefined: nothing was sent yet. */
  isRedis?: boolean | undefined;
  /** Undefined: nothing was received yet. */
  isHttp?: boolean | undefined;
  bytes: number;
}

const REDIS_ARRAY = '*'.charCodeAt(0);
const HTTP = 'HTTP/';

function userOf(token: string): string | undefined {
  const [, payload, signature] = token.split('.');
  if (payload === undefined || signature === undefined) return undefined;
  try {
    return String((JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sub?: unknown }).sub);
  } catch {
    return undefined;
  }
}

export const leaks = new LeakWatch();

/** A string that only connections of these users may receive; by default no client, and no Redis either. */
export function canary(what: string, users: readonly string[] = []): string {
  const text = `canary-${randomBytes(12).toString('hex')}`;
  leaks.remember({ text, what, users });
  return text;
}
