/** What a channel carries for several payloads begins so; nothing else does, because a payload that would is bundled itself. */
const BUNDLE = '\u0001';

/**
 * UTF-16 units after which a bundle is sent: what it saves is a command, a reply and a message for each payload, and small
 * beside those of 64 KiB.
 */
const MAX_LENGTH = 65_536;

interface Bundle {
  readonly payloads: string[];
  length: number;
  readonly sent: Promise<unknown>;
  readonly settle: (reply: Promise<unknown>) => void;
}

/**
 * Payloads that are published to one channel in one go (a loop, all of a tick) travel in one PUBLISH: Redis and each node
 * that listens handle one message, not hundreds. Invariant: the order for each channel is that of the calls, and nothing
 * waits longer than a microtask.
 */
export class PublishBundles {
  readonly #open = new Map<string, Bundle>();

  constructor(private readonly send: (channel: string, message: string) => Promise<unknown>) {}

  /** Settles with its bundle: all of it has been taken, or refused. */
  publish(channel: string, payload: string): Promise<unknown> {
    const known = this.#open.get(channel);
    if (known && known.length + payload.length > MAX_LENGTH) this.flush();
    const bundle = this.#open.get(channel) ?? this.#begin(channel);
    bundle.payloads.push(payload);
    bundle.length += payload.length;
    return bundle.sent;
  }

  /** Sends now what waits, so that whatever is sent next comes after it. */
  flush(): void {
    if (this.#open.size === 0) return;
    const bundles = [...this.#open];
    this.#open.clear();
    for (const [channel, { payloads, settle }] of bundles) settle(this.send(channel, bundle(payloads)));
  }

  readonly #flush = (): void => this.flush();

  #begin(channel: string): Bundle {
    if (this.#open.size === 0) void Promise.resolve().then(this.#flush);
    let settle: Bundle['settle'] = () => undefined;
    const sent = new Promise<unknown>((resolve) => (settle = resolve));
    const begun: Bundle = { payloads: [], length: 0, sent, settle };
    this.#open.set(channel, begun);
    return begun;
  }
}

/** What travels: the payload itself, if it is one. */
export function bundle(payloads: readonly string[]): string {
  const [first = '', ...more] = payloads;
  if (more.length === 0 && !first.startsWith(BUNDLE)) return first;
  return `${BUNDLE}${payloads.map(({ length }) => length).join(',')}\n${payloads.join('')}`;
}

/** What has travelled; undefined if it is not ours. */
export function unbundle(message: string): readonly string[] | undefined {
  if (!message.startsWith(BUNDLE)) return [message];
  const end = message.indexOf('\n');
  const lengths = message.slice(BUNDLE.length, Math.max(end, 0)).split(',');
  let at = end + 1;
  const payloads: string[] = [];
  for (const text of lengths) {
    if (!/^\d{1,10}$/.test(text)) return undefined;
    payloads.push(message.slice(at, (at += Number(text))));
  }
  return at === message.length ? payloads : undefined;
}
