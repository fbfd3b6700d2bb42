import type { JoinResult, Position, RoomMeta, RoomStatus } from 'nestjs-realtime-protocol';
import { io, type Socket } from 'socket.io-client';
import { mintToken } from '../../support/tokens.js';
import { between } from '../requests/random.js';
import { outcomeOf, type Member, type Named } from './member.js';
import type { HeardEvent, SentOutcome } from './room-history.js';

export interface ListenerSettings {
  readonly user: string;
  readonly rooms: readonly string[];
  /** Asked before each connection. */
  readonly url: () => string;
  readonly random: () => number;
}

/** Milliseconds from the end of a connection to the next, and from a refused join to its next try. */
const BACKOFF_MS = [50, 400] as const;
const ANSWERS_WITHIN_MS = 10_000;

/**
 * A user with a stock client that keeps its own positions: it joins its rooms, joins again from where it was after each
 * end of a connection, and writes down what it hears. It drops nothing and sorts nothing: that is what is judged.
 */
export class Listener implements Member {
  readonly keepsOrder = false;
  readonly heard = new Map<string, HeardEvent[]>();
  readonly malformed: string[] = [];
  connections = 0;
  private readonly positions = new Map<string, Position>();
  private socket: Socket | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isDone = false;

  constructor(private readonly settings: ListenerSettings) {
    for (const room of settings.rooms) this.heard.set(room, []);
    this.connect();
  }

  get user(): string {
    return this.settings.user;
  }

  get isConnected(): boolean {
    return this.socket?.connected === true;
  }

  position(room: string): Position | undefined {
    return this.positions.get(room);
  }

  cut(awayMs = between(...BACKOFF_MS, this.settings.random)): void {
    if (!this.socket) return;
    this.leave();
    this.timer = setTimeout(() => this.connect(), awayMs);
  }

  /** As `cut`, until `comeBack`. */
  leave(): void {
    const { socket } = this;
    clearTimeout(this.timer);
    this.socket = undefined;
    socket?.off();
    socket?.io.engine?.close();
    socket?.disconnect();
  }

  comeBack(): void {
    if (!this.socket) this.connect();
  }

  publish(room: string, data: Named): Promise<SentOutcome> {
    const { socket } = this;
    if (!socket?.connected) return Promise.resolve({ status: 'refused', code: 'not connected' });
    return new Promise((resolve) => {
      const onLost = (): void => resolve({ status: 'unknown' });
      socket.once('disconnect', onLost);
      socket
        .timeout(ANSWERS_WITHIN_MS)
        .emit('realtime:publish', { room, event: 'message', data }, (late: Error | null, reply: unknown) => {
          socket.off('disconnect', onLost);
          resolve(late ? { status: 'unknown' } : outcomeOf(reply));
        });
    });
  }

  [Symbol.dispose](): void {
    this.isDone = true;
    this.leave();
  }

  private connect(): void {
    clearTimeout(this.timer);
    if (this.isDone) return;
    const { url, user, rooms } = this.settings;
    const socket = io(`${url()}/chat`, {
      ...{ transports: ['websocket'], forceNew: true, reconnection: false },
      auth: { token: mintToken(user) },
    });
    this.socket = socket;
    socket.on('message', (data: Named, meta: RoomMeta) => this.onMessage(data, meta));
    socket.on('realtime:room', (status: RoomStatus) => this.onStatus(status));
    socket.on('connect', () => {
      this.connections += 1;
      this.join(socket, rooms);
    });
    const again = (): void => (this.socket === socket ? this.cut() : undefined);
    socket.on('connect_error', again);
    socket.on('disconnect', again);
  }

  private join(socket: Socket, rooms: readonly string[]): void {
    if (this.socket !== socket || rooms.length === 0) return;
    const request = rooms.map((room) => ({ room, position: this.positions.get(room) }));
    socket
      .timeout(ANSWERS_WITHIN_MS)
      .emit('realtime:join', { rooms: request }, (late: Error | null, results: readonly JoinResult[]) => {
        if (this.socket !== socket) return;
        if (late || !Array.isArray(results)) return this.cut();
        const refused = results.filter((result) => !this.onJoined(result)).map(({ room }) => room);
        const pauseMs = between(...BACKOFF_MS, this.settings.random);
        this.timer = setTimeout(
          () =>
            this.join(
              socket,
              refused.filter((room) => room !== undefined),
            ),
          pauseMs,
        );
      });
  }

  /** False if it was refused. */
  private onJoined(result: JoinResult): boolean {
    if ('error' in result) {
      if (!result.error.retryable) this.malformed.push(`join of ${result.room} refused: ${JSON.stringify(result)}`);
      return false;
    }
    const { room, position, recovered, publications = [] } = result;
    const from = this.positions.get(room);
    if (!position) this.malformed.push(`join of ${room} without a position: ${JSON.stringify(result)}`);
    else if (!from) this.note(room, { kind: 'joined', position });
    else if (recovered === true)
      this.note(room, { kind: 'recovered', from, position, publications: publications.map(named) });
    else if (recovered === false) this.note(room, { kind: 'told', how: 'join', from, position, at: Date.now() });
    else this.malformed.push(`join of ${room} from a position says nothing of it: ${JSON.stringify(result)}`);
    if (recovered !== true && publications.length > 0) this.malformed.push(`${room}: publications, but not recovered`);
    return true;
  }

  private onMessage({ name }: Named, { room, epoch, offset }: RoomMeta): void {
    if (epoch === undefined || offset === undefined || !this.positions.has(room)) {
      this.malformed.push(`${name} in ${room} without a position, or before the reply to the join`);
      return;
    }
    this.note(room, { kind: 'message', position: { epoch, offset }, name });
  }

  private onStatus(told: RoomStatus): void {
    const { room, status, position } = told;
    const from = this.positions.get(room);
    if (status !== 'gap' || !position || !from) this.malformed.push(JSON.stringify(told));
    else this.note(room, { kind: 'told', how: 'gap', from, position, at: Date.now() });
  }

  private note(room: string, event: HeardEvent): void {
    this.heard.get(room)?.push(event);
    this.positions.set(room, event.position);
  }
}

function named({ offset, data }: { offset: number; data: unknown }): { offset: number; name: string } {
  return { offset, name: (data as Named).name };
}
