import { once } from 'node:events';
import type { Socket as TcpSocket } from 'node:net';
import { WebSocket } from 'ws';
import { Inbox } from './inbox.js';

/** Socket.IO's packet types, as they stand behind Engine.IO's `4`. */
const CONNECT = '0';
const CONNECT_ERROR = '4';

export interface RawOptions {
  readonly path?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A WebSocket that speaks Engine.IO by hand, for what no Socket.IO client would send. Answers pings; everything else that
 * arrives is in the inbox: each Socket.IO packet as `packet` with its text, the end as `close` with its code.
 */
export class RawClient implements AsyncDisposable {
  readonly inbox = new Inbox();
  private lastId = 0;

  private constructor(private readonly ws: WebSocket) {
    ws.on('message', (data: Buffer, isBinary: boolean) => this.read(isBinary ? '' : data.toString()));
    ws.on('close', (code) => this.inbox.push('close', code));
    ws.on('error', (error) => this.inbox.push('error', error.message));
  }

  /** Resolves with the open transport; no namespace is connected yet. */
  static async open(
    url: string,
    { path = '/socket.io/', query = '', headers = {} }: RawOptions = {},
  ): Promise<RawClient> {
    const ws = new WebSocket(`${url.replace('http', 'ws')}${path}?EIO=4&transport=websocket${query}`, { headers });
    const client = new RawClient(ws);
    const { event, args } = await client.inbox.next(({ event }) => event === 'open' || event === 'error');
    if (event === 'error') throw new Error(String(args[0]));
    return client;
  }

  /** As `open`, and connected to a namespace. Rejects with the text of a CONNECT_ERROR. */
  static async connected(url: string, namespace: string, auth: unknown, options?: RawOptions): Promise<RawClient> {
    const client = await RawClient.open(url, options);
    const answer = await client.connect(namespace, JSON.stringify(auth));
    if (!answer.startsWith(CONNECT)) throw new Error(answer);
    return client;
  }

  /** Sends a CONNECT with this text as its auth and resolves with the answer, a CONNECT or a CONNECT_ERROR. */
  async connect(namespace: string, auth = ''): Promise<string> {
    const to = prefixOf(namespace);
    this.send(`${CONNECT}${to}${auth}`);
    const isAnswer = (text: string): boolean =>
      text.startsWith(`${CONNECT}${to}`) || text.startsWith(`${CONNECT_ERROR}${to}`);
    const { args } = await this.inbox.next(({ event, args: [text] }) => event === 'packet' && isAnswer(String(text)));
    return String(args[0]);
  }

  /** Socket.IO packets as text, attachments as buffers, all of them in one write to the network. */
  send(...packets: readonly (string | Buffer)[]): void {
    this.tcp.cork();
    for (const packet of packets) this.ws.send(typeof packet === 'string' ? `4${packet}` : packet);
    this.tcp.uncork();
  }

  /** Emits the JSON of an event's arguments, as it is, and resolves with what is in the ack. */
  async ask(namespace: string, json: string): Promise<unknown> {
    const id = (this.lastId += 1);
    const head = `3${prefixOf(namespace)}${id}[`;
    this.send(`2${prefixOf(namespace)}${id}${json}`);
    const { event, args } = await this.inbox.next(
      ({ event, args: [text] }) => event === 'close' || (event === 'packet' && String(text).startsWith(head)),
    );
    if (event === 'close') throw new Error(`closed with ${String(args[0])} in place of an answer`);
    return (JSON.parse(String(args[0]).slice(head.length - 1)) as unknown[])[0];
  }

  /** Resolves with the code that the other side closed with; 1006: it just ended. */
  async closed(): Promise<number> {
    return (await this.inbox.next('close')).args[0] as number;
  }

  /** Ends the TCP connection with a RST. */
  reset(): void {
    this.tcp.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ws.readyState === WebSocket.CLOSED) return;
    const closed = once(this.ws, 'close');
    this.ws.terminate();
    await closed;
  }

  private get tcp(): TcpSocket {
    return (this.ws as unknown as { _socket: TcpSocket })._socket;
  }

  private read(text: string): void {
    const type = text.charAt(0);
    if (type === '2') this.ws.send('3');
    else if (type === '0') this.inbox.push('open', JSON.parse(text.slice(1)));
    else if (type === '4') this.inbox.push('packet', text.slice(1));
  }
}

function prefixOf(namespace: string): string {
  return namespace === '/' ? '' : `${namespace},`;
}
