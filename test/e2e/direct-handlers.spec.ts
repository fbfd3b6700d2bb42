import { createHook } from 'node:async_hooks';
import { UseFilters, UseGuards, UsePipes, createParamDecorator, type CanActivate } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter, ExecutionContext, PipeTransform } from '@nestjs/common';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { Roles } from 'nestjs-realtime';
import { Observable, of, throwError } from 'rxjs';
import type { Server, Socket } from 'socket.io';
import { Ack, hasAck } from '../support/ack.js';
import { bootApp } from '../support/app.js';
import { connectedClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

const order: string[] = [];

function guard(name: string, verdict: () => ReturnType<CanActivate['canActivate']>): CanActivate {
  return {
    canActivate: (context: ExecutionContext) => {
      const ws = context.switchToWs();
      order.push(`${name} ${context.getHandler().name} ${JSON.stringify(ws.getData())} ${ws.getPattern()}`);
      return verdict();
    },
  };
}

const Late = createParamDecorator((data: string, context: ExecutionContext) =>
  Promise.resolve(`${data} ${context.getType()} ${JSON.stringify(context.switchToWs().getData())}`),
);

const Upper: PipeTransform = { transform: (value: unknown) => String(value).toUpperCase() };

const Answering: ExceptionFilter = {
  catch(exception: unknown, host: ArgumentsHost) {
    const ack = host.getArgs<unknown[]>().find((arg) => typeof arg === 'function') as (value: unknown) => void;
    ack({ caught: (exception as Error).message });
  },
};

@WebSocketGateway()
class DirectGateway {
  @WebSocketServer()
  readonly server!: Server;
  private readonly suffix = '!';

  @SubscribeMessage('plain')
  plain(client: Socket, data: unknown): unknown {
    return [typeof client.id, data, this.suffix];
  }

  @SubscribeMessage('async')
  later(@MessageBody('text') text: string): Promise<string> {
    return Promise.resolve(text + this.suffix);
  }

  @Roles('member')
  @SubscribeMessage('roles')
  roles(@MessageBody() data: unknown): unknown {
    return data;
  }

  @Roles('admin')
  @SubscribeMessage('admins')
  admins(): string {
    return 'never';
  }

  @UseGuards(guard('first', () => true), guard('second', () => Promise.resolve(true)), guard('third', () => of(true)))
  @SubscribeMessage('guards')
  guards(): string {
    order.push('handler');
    return 'passed';
  }

  @UseGuards(guard('late', () => Promise.resolve(false)), guard('never', () => true))
  @SubscribeMessage('refused')
  refused(): string {
    return 'never';
  }

  @SubscribeMessage('late')
  late(@Late('param') param: string, @MessageBody() data: unknown): unknown {
    return [param, data];
  }

  @SubscribeMessage('manual')
  manual(@Ack() ack: (value: unknown) => void, @ConnectedSocket() client: Socket): string {
    ack(typeof client.id);
    return 'ignored';
  }

  @UsePipes(Upper)
  @SubscribeMessage('piped')
  piped(@MessageBody() data: unknown): unknown {
    return data;
  }

  @UseFilters(Answering)
  @SubscribeMessage('filtered')
  filtered(): never {
    throw new Error('on purpose');
  }

  @UseFilters(Answering)
  @SubscribeMessage('filtered-late')
  filteredLate(): Promise<never> {
    return Promise.reject(new Error('later'));
  }

  @UseFilters(Answering)
  @SubscribeMessage('filtered-stream')
  filteredStream(): Observable<never> {
    return throwError(() => new Error('in a stream'));
  }

  @SubscribeMessage('bug')
  bug(): never {
    throw new TypeError('secret');
  }
}

async function start() {
  const app = await bootApp({ providers: [DirectGateway] });
  const client = await connectedClient(app.url, { auth: { token: mintToken('ada', { roles: ['member'] }) } });
  const { server } = app.app.get(DirectGateway);
  const [socket] = server.sockets.sockets.values();
  return { app, client, socket: socket as Socket };
}

/** Promises that are made between a packet and the write of its answer. */
function promisesOf(socket: Socket, event: string): Promise<number> {
  return new Promise((resolve) => {
    let count = 0;
    const hook = createHook({ init: (_id, type) => void (type === 'PROMISE' && (count += 1)) });
    const conn = socket.conn as unknown as { write: (...args: unknown[]) => unknown };
    const { write } = conn;
    conn.write = (...args) => {
      hook.disable();
      conn.write = write;
      resolve(count);
      return write.apply(conn, args);
    };
    setImmediate(() => {
      hook.enable();
      const packet = { type: 2, nsp: '/', id: 99, data: [event, { text: 'hi' }] };
      (socket as unknown as { _onpacket(packet: object): void })._onpacket(packet);
    });
  });
}

describe('a handler without pipes and interceptors', () => {
  it('makes at most four promises, and none of its own', async () => {
    const { app, client, socket } = await start();
    await using _app = app;
    await using _client = client;
    expect([await promisesOf(socket, 'plain'), await promisesOf(socket, 'roles')]).toEqual([0, 0]);
    expect(await promisesOf(socket, 'async')).toBeLessThanOrEqual(4);
  });

  it('gets its parameters, guards and filters as Nest gives them', async () => {
    const { app, client } = await start();
    await using _app = app;
    await using _client = client;
    expect(await client.ask('plain', { a: 1 })).toEqual(['string', { a: 1 }, '!']);
    expect(await client.ask('async', { text: 'hi' })).toBe('hi!');
    expect(await client.ask('roles', 5)).toBe(5);
    expect(await client.ask('admins')).toMatchObject({ error: { code: 'FORBIDDEN' } });
    expect(await client.ask('late', 3)).toEqual(['param ws 3', 3]);
    if (hasAck) expect(await client.ask('manual')).toBe('string');
    expect(await client.ask('piped', 'loud')).toBe('LOUD');
    expect(await client.ask('bug')).toMatchObject({ error: { code: 'INTERNAL' } });
  });

  it('runs its guards one after the other, whatever they return', async () => {
    const { app, client } = await start();
    await using _app = app;
    await using _client = client;
    order.length = 0;
    expect(await client.ask('guards', 1)).toBe('passed');
    expect(order).toEqual(['first guards 1 guards', 'second guards 1 guards', 'third guards 1 guards', 'handler']);
    order.length = 0;
    expect(await client.ask('refused', 2)).toMatchObject({ error: { code: 'FORBIDDEN' } });
    expect(order).toEqual(['late refused 2 refused']);
  });

  it('lets filters of the app answer what it throws, now, later or in a stream', async () => {
    const { app, client } = await start();
    await using _app = app;
    await using _client = client;
    expect(await client.ask('filtered')).toEqual({ caught: 'on purpose' });
    expect(await client.ask('filtered-late')).toEqual({ caught: 'later' });
    expect(await client.ask('filtered-stream')).toEqual({ caught: 'in a stream' });
  });
});
