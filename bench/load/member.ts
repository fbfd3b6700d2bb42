import { Client, type ClientEvents, type Opened } from './client.js';
import type { Message, Wire } from './wire.js';

interface JoinReply {
  readonly position?: object;
  readonly recovered?: boolean;
  readonly publications?: readonly { readonly data: Message }[];
}

/**
 * A user with one connection at a time, in at most one room, that can be cut off and come back. It keeps what it needs for
 * that: the position in its room, or its session and offset.
 */
export class Member {
  client: Client;
  room: string | undefined;
  /** Whether its deliveries are timed. */
  isSampled = false;
  isRecovered = false;
  /** Numbered messages in their order since the last `expectFrom`; one that does not follow its predecessor spoils it. */
  private last = 0;
  private isSpoilt = false;
  private position: object | undefined;
  private session: { sid?: string; pid?: string; offset?: string } = {};

  constructor(
    port: number,
    private readonly wire: Wire,
    private readonly token: string,
    private readonly events: ClientEvents,
  ) {
    this.client = new Client(port, wire, { token }, events);
  }

  async opened(): Promise<void> {
    const { sid, pid } = await this.client.opened;
    this.session = { ...(sid === undefined ? {} : { sid }), ...(pid === undefined ? {} : { pid }) };
  }

  async join(room: string): Promise<void> {
    this.room = room;
    const reply = (await this.client.request(this.wire.join, { room })) as JoinReply | null;
    this.position = reply?.position;
  }

  async leave(): Promise<void> {
    await this.client.request(this.wire.leave, { room: this.room });
  }

  /** Resolves when the server has said whether it has recovered what was missed. */
  async comeBack(port: number): Promise<void> {
    const { pid, sid, offset } = this.session;
    const auth =
      this.wire.recovery === 'session' && pid !== undefined
        ? { token: this.token, pid, offset }
        : { token: this.token };
    this.client = new Client(port, this.wire, auth, this.events);
    const opened: Opened = await this.client.opened;
    if (this.wire.recovery === 'session') {
      this.isRecovered = sid !== undefined && opened.sid === sid;
      if (this.isRecovered) return;
    }
    if (this.room === undefined) return;
    const request = this.position === undefined ? {} : { position: this.position };
    const reply = (await this.client.request(this.wire.join, { room: this.room, ...request })) as JoinReply | null;
    if (this.wire.recovery !== 'positions') return;
    this.isRecovered = reply?.recovered === true;
    this.position = reply?.position ?? this.position;
    for (const { data } of reply?.publications ?? []) this.count(data.n);
  }

  /** A message of the room, as JSON: `["message",data,meta]`. */
  follow(json: string): void {
    const [, data, meta] = JSON.parse(json) as [string, Message, unknown];
    this.count(data.n);
    if (typeof meta === 'string') this.session = { ...this.session, offset: meta };
    const { offset, epoch } = (meta ?? {}) as { offset?: number; epoch?: string };
    if (typeof meta === 'object' && offset !== undefined) this.position = { offset, epoch };
  }

  /** Whether all up to `n` has come, once and in order. */
  hasAll(n: number): boolean {
    return !this.isSpoilt && this.last === n;
  }

  get lastNumber(): number {
    return this.last;
  }

  private count(n: number | undefined): void {
    if (n === undefined) return;
    if (n !== this.last + 1) this.isSpoilt = true;
    this.last = n;
  }
}
