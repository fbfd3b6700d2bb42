import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { Server, type Socket } from 'socket.io';
import { systemClock } from '../../core/clock.js';
import type { EncodedEvent } from '../../core/link.js';
import { noMetrics } from '../../core/metrics.js';
import type { DeflateOptions } from '../deflated-frame.js';
import { dropResponse } from '../lean-transport.js';
import { lighten } from '../lighten.js';
import { SocketIoLocalSockets } from '../local-socket-broadcast.js';
import { SendBufferWatch } from '../send-buffer-watch.js';
import { toServerOptions } from '../server-options.js';
import { Session } from '../session.js';
import { gateMessages, passOn } from '../socket-dispatch.js';
import { tuneServer } from '../tune-server.js';
import { WriteTurn } from '../write-turn.js';
import type { Internals } from './internals.js';
import type { Trial } from './prove-internals.js';
import { TrialClient } from './trial-client.js';

/** Lists of recipients begin at sixteen members; not everybody is in the room. */
const CLIENTS = 20;
/** Enough to be compressed, with any setting. */
const LONG = 'a long text '.repeat(400);
const BYTES = Buffer.from([1, 2, 3]);
const PATH = '/trial';

/** As publications travel: encoded before Socket.IO sees them. */
const publication = (value: number): EncodedEvent => ({
  json: `["publication",${value}]`,
  content: ['publication', value],
  attachments: [],
});

/** Ways in which a connection ends, each by another part of ws, Engine.IO or Socket.IO. */
interface End {
  readonly act: (socket: Socket, client: TrialClient) => void;
  /** What was written in the same turn arrives. */
  readonly isHeard?: boolean;
}

const ENDS: readonly End[] = [
  { act: (_socket, client) => client.webSocket.close() },
  { act: (_socket, client) => client.webSocket.terminate() },
  { act: ({ request }) => request.socket.destroy() },
  { act: ({ conn }) => conn.close(), isHeard: true },
  { act: (socket) => socket.disconnect(true), isHeard: true },
  { act: ({ conn }) => webSocketOf(conn).terminate(), isHeard: true },
  {
    // The server says goodbye to the namespace, and the client ends the connection.
    act: (socket, client) => {
      client.webSocket.once('message', () => client.webSocket.close());
      socket.disconnect();
    },
    isHeard: true,
  },
];

/** A Socket.IO server on loopback, put together as those of the app are, its clients, and all that they say to each other. */
export function socketTrial(compressing: DeflateOptions | undefined): Trial {
  return {
    covers: [
      'coalescedWrites',
      'directWrites',
      'firstWrites',
      'compression',
      'sharedBroadcasts',
      'directDispatch',
      'leanRequests',
      'leanMaps',
    ],
    run: async (internals, signal) => {
      const stage = new Stage(internals, compressing);
      signal.addEventListener('abort', () => void stage.close(), { once: true });
      try {
        await stage.open();
        await stage.talk();
        await stage.broadcast();
        await stage.end();
      } finally {
        await stage.close();
      }
    },
  };
}

class Stage {
  private readonly http: HttpServer = createServer();
  private readonly server: Server;
  private readonly clients: TrialClient[] = [];
  /** In the order of the clients. */
  private readonly sockets: Socket[] = [];
  private readonly local = new SocketIoLocalSockets((error) => (this.failure ??= error));
  /** Of what a publication is sent to. */
  private readonly members = new Set<{ readonly link: Session }>();
  private failure: unknown;
  private disconnected = 0;
  private areGated = true;

  constructor(
    private readonly internals: Internals,
    compressing: DeflateOptions | undefined,
  ) {
    const turn = internals.coalescedWrites ? new WriteTurn(internals.directWrites) : undefined;
    this.server = new Server(this.http, {
      ...toServerOptions(settings(compressing), systemClock, { turn, internals }),
      allowRequest: (request, decide) => {
        if (internals.leanRequests) dropResponse(this.server, request);
        decide(null, true);
      },
    });
    const sendBuffers = new SendBufferWatch({ decide: () => 'send', metrics: noMetrics });
    this.local.add(this.server, tuneServer(this.server, { internals, turn, sendBuffers }));
    this.server.on('connection', (socket) => this.serve(socket));
  }

  /** One after the other, so that each socket is known by its client's place. */
  async open(): Promise<void> {
    // Exclusive: workers of node:cluster would share the port, and with it their clients.
    this.http.listen({ port: 0, host: '127.0.0.1', exclusive: true });
    await once(this.http, 'listening');
    const { port } = this.http.address() as AddressInfo;
    const url = `ws://127.0.0.1:${port}${PATH}/?EIO=4&transport=websocket`;
    for (let place = 0; place < CLIENTS; place += 1) {
      const client = new TrialClient(url);
      this.clients.push(client);
      await client.connects();
    }
    await setImmediate();
    for (const socket of this.sockets) lighten(socket, this.internals);
  }

  /** Requests, one of them past a middleware; questions of the server, two at a time; what an app reads of the request. */
  async talk(): Promise<void> {
    check(this.areGated, 'messages of a socket cannot be led past its middlewares');
    await this.each(async (client, place) => {
      client.say(`42${place}["ask",${place}]`);
      await client.hears([`43${place}[${place}]`]);
      client.say(`451-${place}["ask",{"_placeholder":true,"num":0}]`);
      client.say(BYTES);
      await client.hears([`461-${place}[{"_placeholder":true,"num":0}]`, BYTES]);
    });
    const [client, socket] = this.at(0);
    const answers = [1, 2].map((value) => new Promise((resolve) => socket.emit('question', value, resolve)));
    await client.hears(['420["question",1]', '421["question",2]']);
    client.say('431["two"]');
    client.say('430["one"]');
    check(String(await Promise.all(answers)) === 'one,two', 'answers of a client came to the wrong questions');
    for (const { request, handshake } of this.sockets) {
      check(request.headers === handshake.headers && request.url?.startsWith(PATH) === true, 'a request was changed');
      check(request.socket.writable, 'a request lost its socket');
    }
  }

  /** Twice, since only the second finds a list; texts, bytes, single messages and compressed ones in one turn. */
  async broadcast(): Promise<void> {
    for (const round of [1, 2, 3]) {
      this.server.emit('all', round);
      this.server.to('most').except('except').emit('most', round);
      for (const [place, socket] of this.sockets.entries()) socket.emit('one', place);
      this.server.emit('bytes', BYTES);
      this.server.emit('long', LONG);
      this.local.send('most', this.members, publication(round));
      this.server.compress(false).emit('end');
      await this.each((client, place) => client.hears(expected(place, round)));
    }
    check(this.failure === undefined, `a publication was not sent: ${String(this.failure)}`);
    // The room keeps its size, and not its members.
    await this.at(CLIENTS - 1)[1].leave('most');
    await this.at(0)[1].join('most');
    this.server.to('most').emit('most', 'changed');
    this.server.emit('end');
    const isMember = (place: number): boolean => place !== 1 && place !== CLIENTS - 1;
    await this.each((client, place) =>
      client.hears(isMember(place) ? ['42["most","changed"]', '42["end"]'] : ['42["end"]']),
    );
  }

  /**
   * Engine.IO's count is the witness: it is taken by the first listener to a connection's end, which nothing can hide.
   * @throws Error if Socket.IO does not hear of it.
   */
  async end(): Promise<void> {
    const ends = ENDS.map(async ({ act, isHeard }, place) => {
      const [client, socket] = this.at(place);
      socket.emit('last');
      act(socket, client);
      if (isHeard) await client.hears(['42["last"]']);
    });
    await Promise.all(ends);
    const left = CLIENTS - ENDS.length;
    const engine = this.server.engine as unknown as { readonly clientsCount: number };
    while (engine.clientsCount > left && this.http.listening) await setImmediate();
    await setImmediate();
    const { size } = this.server.sockets.sockets;
    check(size === left, `Socket.IO holds ${size} sockets of ${left} connections`);
    check(this.disconnected === ENDS.length, `${this.disconnected} of ${ENDS.length} ends were told`);
  }

  /** Never rejects. */
  async close(): Promise<void> {
    for (const { webSocket } of this.clients) webSocket.terminate();
    this.http.closeAllConnections();
    if (this.http.listening) await this.server.close().catch(() => undefined);
  }

  private serve(socket: Socket): void {
    const place = this.sockets.push(socket) - 1;
    if (this.internals.directDispatch) {
      const isGated = gateMessages(socket, function (packet) {
        passOn(this, packet);
      });
      this.areGated &&= isGated;
    }
    if (place === 1) socket.use((_packet, next) => next());
    if (place > 1) {
      void socket.join('most');
      this.members.add({ link: new Session(socket, (error) => (this.failure ??= error)) });
    }
    if (place === 2) void socket.join('except');
    socket.on('ask', (value: unknown, ack: (value: unknown) => void) => ack(value));
    socket.on('disconnect', () => (this.disconnected += 1));
  }

  private at(place: number): [TrialClient, Socket] {
    const [client, socket] = [this.clients[place], this.sockets[place]];
    if (!client || !socket) throw new Error('a client connected, and the server has no socket for it');
    return [client, socket];
  }

  private async each(act: (client: TrialClient, place: number) => Promise<void>): Promise<void> {
    await Promise.all(this.clients.map(act));
  }
}

function settings(compression: DeflateOptions | undefined): Parameters<typeof toServerOptions>[0] {
  return {
    path: PATH,
    transports: ['websocket'],
    pingIntervalMs: 60_000,
    pingTimeoutMs: 60_000,
    connectTimeoutMs: 60_000,
    maxPayloadBytes: 1_000_000,
    compression,
    corsOrigins: false,
    socketio: {},
  };
}

function expected(place: number, round: number): (string | Buffer)[] {
  const frames: (string | Buffer)[] = [`42["all",${round}]`];
  if (place > 2) frames.push(`42["most",${round}]`);
  frames.push(`42["one",${place}]`, '451-["bytes",{"_placeholder":true,"num":0}]', BYTES, `42["long","${LONG}"]`);
  if (place > 1) frames.push(`42["publication",${round}]`);
  return [...frames, '42["end"]'];
}

function webSocketOf({ transport }: Socket['conn']): { terminate(): void } {
  return (transport as unknown as { socket: { terminate(): void } }).socket;
}

function check(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise);
}
