import {
  ConnectedSocket,
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
} from '@nestjs/websockets';
import { EMPTY, NEVER, Subject, concat, finalize, firstValueFrom, from, of, throwError, type Observable } from 'rxjs';
import type { Socket } from 'socket.io';
import { RealtimeError } from 'nestjs-realtime';
import { Ack, hasAck } from '../support/ack.js';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, stockClient, type StockClient } from '../support/inbox.js';
import { nextTurn } from '../support/next-turn.js';
import { mintToken } from '../support/tokens.js';

/** Event, arguments, answer. */
type Row = [string, unknown[], unknown];

const unsubscribed = new Subject<string>();

@WebSocketGateway({ namespace: 'results' })
class ResultsGateway {
  @SubscribeMessage('value')
  value(@MessageBody() body: unknown) {
    return body;
  }

  @SubscribeMessage('nothing')
  nothing(): void {}

  @SubscribeMessage('promise')
  async promise() {
    return Promise.resolve(0);
  }

  @SubscribeMessage('response')
  response() {
    return { event: 'answer', data: [1] };
  }

  @SubscribeMessage('domain object')
  domainObject() {
    return { event: 'order.created', id: 7 };
  }

  @SubscribeMessage('ack')
  ack(@Ack() ack: (value: unknown) => void): string {
    ack('by hand');
    return 'not this';
  }

  @SubscribeMessage('stream')
  stream(): Observable<unknown> {
    return from([1, { event: 'more', data: 2 }, 3]);
  }

  @SubscribeMessage('responses')
  responses(): Observable<unknown> {
    return from([
      { event: 'part', data: 1 },
      { event: 'part', data: 2 },
    ]);
  }

  @SubscribeMessage('empty')
  empty(): Observable<never> {
    return EMPTY;
  }

  @SubscribeMessage('late failure')
  lateFailure(): Observable<unknown> {
    return concat(
      of({ event: 'part', data: 1 }),
      throwError(() => new RealtimeError('CONFLICT')),
    );
  }

  @SubscribeMessage('endless')
  endless(@ConnectedSocket() socket: Socket): Observable<unknown> {
    return concat(of({ event: 'started', data: null }), NEVER).pipe(finalize(() => unsubscribed.next(socket.id)));
  }

  @SubscribeMessage('looks like an error')
  looksLikeAnError() {
    return { error: { code: 'OOPS' } };
  }
}

/** Its handleConnection takes as long as the test says, and fails when the test says. */
@WebSocketGateway({ namespace: 'slow' })
class SlowGateway implements OnGatewayConnection<Socket>, OnGatewayDisconnect<Socket> {
  static gate = new Subject<void>();
  static seen: string[] = [];
  static failure: Error | undefined;
  static opening: Socket | undefined;

  async handleConnection(socket: Socket): Promise<void> {
    SlowGateway.opening = socket;
    await firstValueFrom(SlowGateway.gate);
    if (SlowGateway.failure) throw SlowGateway.failure;
    (socket.data as { isLoaded?: boolean }).isLoaded = true;
  }

  handleDisconnect(): never {
    SlowGateway.seen.push('disconnect');
    throw new Error('handleDisconnect is broken');
  }

  @SubscribeMessage('who')
  who(@ConnectedSocket() socket: Socket) {
    SlowGateway.seen.push('who');
    return (socket.data as { isLoaded?: boolean }).isLoaded === true;
  }
}

/** Has middlewares of its own, as Socket.IO's documentation shows them. */
@WebSocketGateway({ namespace: 'guarded' })
class GuardedGateway implements OnGatewayConnection<Socket> {
  handleConnection(socket: Socket): void {
    socket.use(([event], next) => {
      if (event === 'forbidden') return next(new Error('password=hunter2'));
      if (event === 'busy') return next(new RealtimeError('UNAVAILABLE'));
      next();
    });
  }

  @SubscribeMessage('forbidden')
  forbidden(): string {
    return 'reached';
  }

  @SubscribeMessage('busy')
  busy(): string {
    return 'reached';
  }

  @SubscribeMessage('allowed')
  allowed(): string {
    return 'reached';
  }
}

@WebSocketGateway({ namespace: 'arrow' })
class ArrowGateway {
  handleConnection = (): never => {
    throw new RealtimeError('FORBIDDEN', 'Not today');
  };
}

describe('what a handler returns', () => {
  const errors: unknown[] = [];
  let app: TestApp;
  let client: StockClient;
  const auth = { token: mintToken('ada') };

  beforeAll(async () => {
    app = await bootApp({
      providers: [ResultsGateway, SlowGateway, GuardedGateway, ArrowGateway],
      realtime: { onError: (error) => errors.push(error) },
    });
    client = await connectedClient(`${app.url}/results`, { auth });
  });

  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();
  });

  it.each<Row>([
    ['value', [{ a: 1 }], { a: 1 }],
    ['value', ['one', 'two'], ['one', 'two']],
    ['value', [], null],
    ['value', [0], 0],
    ['value', [false], false],
    ['value', [''], ''],
    ['value', [{ a: 1 }, { $rt: { id: 'abcdefghijklmnopqrstuv', attempt: 1 } }], { a: 1 }],
    ['value', [{ $rt: { id: 'x' }, other: 1 }], { $rt: { id: 'x' }, other: 1 }],
    ['nothing', [], null],
    ['promise', [], 0],
    ['response', [], null],
    ['domain object', [], { event: 'order.created', id: 7 }],
    ...(hasAck ? [['ack', [], 'by hand'] satisfies Row] : []),
    ['stream', [], 1],
    ['responses', [], null],
    ['empty', [], null],
    ['late failure', [], null],
  ])("answers '%s' with %j as %j", async (event, args, expected) => {
    expect(await client.ask(event, ...args)).toEqual(expected);
  });

  it('emits a WsResponse, and each of a stream', async () => {
    await client.ask('response');
    expect((await client.inbox.next('answer')).args).toEqual([[1]]);
    await client.ask('responses');
    expect((await client.inbox.next(({ event, args }) => event === 'part' && args[0] === 2)).args).toEqual([2]);
  });

  it('treats a returned error as the bug that it is', async () => {
    errors.length = 0;
    expect(await client.ask('looks like an error')).toEqual({ error: expect.objectContaining({ code: 'INTERNAL' }) });
    expect(String(errors[0])).toContain('throw a RealtimeError');
  });

  it('unsubscribes a stream when its client goes', async () => {
    const ended = firstValueFrom(unsubscribed);
    const other = await connectedClient(`${app.url}/results`, { auth });
    other.socket.emit('endless');
    await other.inbox.next('started');
    const { id } = other.socket;
    await other[Symbol.asyncDispose]();
    expect(await ended).toBe(id);
  });

  it('handles no message before handleConnection has settled', async () => {
    SlowGateway.failure = undefined;
    SlowGateway.seen = [];
    SlowGateway.opening = undefined;
    await using slow = await connectedClient(`${app.url}/slow`, { auth });
    const { conn } = await eventually(() => SlowGateway.opening ?? Promise.reject(new Error('nobody connects')));
    const arrived = new Promise((resolve) => conn.once('data', resolve));
    const answer = slow.ask('who');
    await arrived;
    // Socket.IO hands it on in the next tick.
    await nextTurn();
    expect(SlowGateway.seen).toEqual([]);
    SlowGateway.gate.next();
    expect(await answer).toBe(true);
  });

  it('ends the connection, not the process, when handleConnection or handleDisconnect throws', async () => {
    await eventually(() => expect(SlowGateway.seen).toContain('disconnect'));
    errors.length = 0;
    SlowGateway.failure = new Error('the database is away');
    await using slow = await connectedClient(`${app.url}/slow`, { auth });
    SlowGateway.gate.next();
    expect((await slow.inbox.next('realtime:bye')).args[0]).toMatchObject({
      code: 'INTERNAL',
      message: 'Internal error',
    });
    await slow.inbox.next('disconnect');
    expect(await client.ask('nothing')).toBeNull();
    expect(errors.map(String)).toEqual(['Error: the database is away', 'Error: handleDisconnect is broken']);
  });

  it('says why a connection was refused by an arrow function hook', async () => {
    await using refused = stockClient(`${app.url}/arrow`, { auth });
    expect((await refused.inbox.next('realtime:bye')).args[0]).toMatchObject({
      code: 'FORBIDDEN',
      message: 'Not today',
    });
    expect((await refused.inbox.next('disconnect')).args[0]).toBe('io server disconnect');
  });

  it("answers what the app's own socket middleware refuses, and tells nothing more", async () => {
    await using guarded = await connectedClient(`${app.url}/guarded`, { auth });
    expect(await guarded.ask('allowed')).toBe('reached');
    expect(await guarded.ask('forbidden')).toEqual({
      error: { code: 'FORBIDDEN', message: 'Not allowed', retryable: false },
    });
    expect(await guarded.ask('busy')).toEqual({
      error: expect.objectContaining({ code: 'UNAVAILABLE', retryable: true }),
    });
    expect(await guarded.ask('allowed')).toBe('reached');
  });

  it('answers an unknown event and survives', async () => {
    expect(await client.ask('nobody.listens', 1)).toEqual({ error: expect.objectContaining({ code: 'NOT_FOUND' }) });
    expect(await client.ask('value', 1)).toBe(1);
  });
});
