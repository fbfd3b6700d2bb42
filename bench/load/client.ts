import { RawSocket, type RawSocketHandler } from './raw-socket.js';
import type { Wire } from './wire.js';

export interface ClientEvents {
  /** An event of the server, `["name",…]` from `start + 2` on; a view into shared memory. */
  event(client: Client, chunk: Buffer, start: number, end: number): void;
  /** The server has ended an open connection. */
  lost(client: Client): void;
}

export interface Opened {
  readonly sid?: string;
  readonly pid?: string;
}

const [DIGIT_0, DIGIT_2, DIGIT_3, DIGIT_4] = [0x30, 0x32, 0x33, 0x34];

/** One connection: as much of Engine.IO 4 and Socket.IO 5 as the benchmarks need. Opened once; a return is a new one. */
export class Client {
  private readonly socket: RawSocket;
  private readonly waiting = new Map<number, (text: string) => void>();
  private nextId = 0;
  private isOpen = false;
  private settle: { resolve: (opened: Opened) => void; reject: (error: Error) => void } | undefined;

  /** Resolves when the root namespace is open. */
  readonly opened: Promise<Opened>;

  constructor(
    port: number,
    private readonly wire: Wire,
    private readonly auth: object,
    private readonly events: ClientEvents,
  ) {
    this.opened = new Promise((resolve, reject) => (this.settle = { resolve, reject }));
    const { isPlain, offersDeflate = false } = wire;
    const handler: RawSocketHandler = {
      opened: () => (isPlain ? this.open({}) : undefined),
      text: (chunk, start, end) => this.read(chunk, start, end),
      closed: () => this.closed(),
    };
    this.socket = new RawSocket(port, isPlain ? '/' : '/socket.io/?EIO=4&transport=websocket', handler, {
      offersDeflate,
    });
  }

  /** Of the message that is being read, as it came over the wire. */
  get frameBytes(): number {
    return this.socket.frameBytes;
  }

  /** `done` gets the JSON of the ack's arguments, or the empty string if the connection ends first. */
  ask(event: string, payload: unknown, done: (text: string) => void): void {
    const id = this.nextId;
    this.nextId += 1;
    this.waiting.set(id, done);
    this.socket.send(`42${id}${JSON.stringify([event, payload])}`);
  }

  /** The ack's first argument. @throws Error for an error ack. */
  request(event: string, payload: unknown): Promise<unknown> {
    return new Promise((resolve, reject) =>
      this.ask(event, payload, (text) => {
        if (text === '' || isErrorAck(text)) reject(new Error(`${event} was answered ${text || 'with the end'}`));
        else resolve((JSON.parse(text) as unknown[])[0]);
      }),
    );
  }

  close(): void {
    this.isOpen = false;
    this.socket.end();
  }

  reset(): void {
    this.isOpen = false;
    this.socket.reset();
  }

  private read(chunk: Buffer, start: number, end: number): void {
    const type = chunk[start];
    if (type === DIGIT_4) this.readPacket(chunk, start, end);
    else if (type === DIGIT_2) this.socket.send('3');
    else if (type === DIGIT_0) this.socket.send(`40${JSON.stringify(this.auth)}`);
  }

  private readPacket(chunk: Buffer, start: number, end: number): void {
    switch (chunk[start + 1]) {
      case DIGIT_2:
        return this.events.event(this, chunk, start, end);
      case DIGIT_3:
        return this.answer(chunk.toString('utf8', start + 2, end));
      case DIGIT_0:
        return this.open(JSON.parse(chunk.toString('utf8', start + 2, end) || '{}') as Opened);
      default:
        this.settle?.reject(new Error(`Refused: ${chunk.toString('utf8', start, end)}`));
    }
  }

  /** `<id>[<answer>]` */
  private answer(text: string): void {
    const bracket = text.indexOf('[');
    const id = Number(text.slice(0, bracket));
    this.waiting.get(id)?.(text.slice(bracket));
    this.waiting.delete(id);
  }

  private open(opened: Opened): void {
    this.isOpen = true;
    this.settle?.resolve(opened);
  }

  private closed(): void {
    this.settle?.reject(new Error('Closed'));
    if (this.isOpen) this.events.lost(this);
    this.isOpen = false;
    for (const done of this.waiting.values()) done('');
    this.waiting.clear();
  }
}

export function isErrorAck(text: string): boolean {
  return text.startsWith('[{"error"');
}
