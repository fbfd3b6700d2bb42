import { isDeepStrictEqual } from 'node:util';
import { UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ApplicationConfig, NestContainer } from '@nestjs/core';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { SocketModule } from '@nestjs/websockets/socket-module.js';
import { directHandlerOf, makeHandlersDirect } from '../direct-handlers.js';
import { shareHandlers, type GatewayHandler } from '../gateway-handlers.js';
import { Message } from '../message.js';
import { watchFailures } from '../nest-failures.js';
import type { Internals } from './internals.js';
import type { Trial } from './prove-internals.js';

const DATA = { isAllowed: true };

const guard: CanActivate = {
  canActivate: (context: ExecutionContext) => {
    const { isAllowed } = context.switchToWs().getData<typeof DATA>();
    return isAllowed && context.getType() === 'ws' && context.getHandler().name === 'echo';
  },
};

@WebSocketGateway()
class TrialGateway {
  @SubscribeMessage('echo')
  @UseGuards(guard)
  echo(@MessageBody() data: unknown, @ConnectedSocket() client: unknown): unknown[] {
    return [this instanceof TrialGateway, data, client];
  }

  @SubscribeMessage('plain')
  plain(client: unknown, data: unknown): unknown[] {
    return [this instanceof TrialGateway, data, client];
  }
}

/** Nest makes the handlers of a gateway, binds them to a client, and runs them: with a guard that agrees, and one that refuses. */
export const nestTrial: Trial = {
  covers: ['sharedHandlers', 'directHandlers'],
  run: async (internals) => {
    watchFailures();
    const undo = [internals.sharedHandlers && shareHandlers(), internals.directHandlers && makeHandlersDirect()];
    try {
      await tryHandlers(internals);
    } finally {
      for (const each of undo) if (each) each();
    }
  },
};

async function tryHandlers(internals: Internals): Promise<void> {
  const gateway = new TrialGateway();
  const client = new TrialSocket();
  const adapter = new TrialAdapter();
  bindGateway(gateway, adapter);
  adapter.connect(client);
  check(adapter.isShared === internals.sharedHandlers, 'Nest did not offer the handlers of a gateway');
  const events = adapter.handlers.map(({ message }) => message).sort();
  check(isDeepStrictEqual(events, ['echo', 'plain']), 'Nest bound other handlers than the gateway has');
  for (const { message: event, callback } of adapter.handlers) {
    const nests = (...args: unknown[]): unknown =>
      adapter.isShared ? callback.call(gateway, client, ...args) : callback(...args);
    await runHandler(String(event), client, nests);
    if (!internals.directHandlers) continue;
    const direct = directHandlerOf(callback);
    if (direct) await runHandler(String(event), client, (data, ack) => direct(client, data, ack));
    else check(!internals.sharedHandlers, 'a handler without pipes and interceptors was put together unseen');
  }
}

type Run = (data: unknown, ack: unknown) => unknown;

async function runHandler(event: string, client: TrialSocket, run: Run): Promise<void> {
  const message = messageOf(event);
  const result = await run(DATA, message.ack);
  check(isDeepStrictEqual(result, [true, DATA, client]), `the handler '${event}' ran otherwise`);
  check(!message.failure && client.sent.length === 0, `the handler '${event}' failed`);
  if (event !== 'echo') return;
  const refused = messageOf(event);
  check((await run({ isAllowed: false }, refused.ack)) === undefined, 'a refused handler answered');
  check(refused.failure !== undefined, 'the refusal of a guard was not seen');
  check(client.sent.splice(0).join() === 'exception', "Nest's own filter did not run");
}

/** By the steps of Nest's own start, without its modules. */
function bindGateway(gateway: TrialGateway, adapter: TrialAdapter): void {
  const config = new ApplicationConfig(adapter);
  const starting = new SocketModule() as unknown as Starting;
  void starting.register(new NestContainer(config), config, { insertEntrypointDefinition: () => undefined }, {});
  const { webSocketsController: controller } = starting;
  // It says of each message that somebody subscribed to it.
  Object.assign(controller, { logger: { log: () => undefined } });
  controller.connectGatewayToServer(gateway, TrialGateway, 'trial', 'trial');
}

interface Starting {
  register(container: NestContainer, config: ApplicationConfig, inspector: object, options: object): unknown;
  readonly webSocketsController: {
    connectGatewayToServer(gateway: object, type: unknown, moduleKey: string, id: string): void;
  };
}

type OnConnect = (client: object) => void;

class TrialAdapter {
  handlers: readonly GatewayHandler[] = [];
  isShared = false;
  private onConnect: OnConnect = () => undefined;

  connect(client: object): void {
    this.onConnect(client);
  }

  create(): object {
    return {};
  }

  close(): void {
    return undefined;
  }

  bindClientConnect(_server: object, onConnect: OnConnect): void {
    this.onConnect = onConnect;
  }

  bindMessageHandlers(_client: object, handlers: readonly GatewayHandler[]): void {
    this.handlers = handlers;
  }

  bindGatewayHandlers(_client: object, handlers: readonly GatewayHandler[]): boolean {
    this.isShared = true;
    this.handlers = handlers;
    return true;
  }
}

class TrialSocket {
  readonly sent: unknown[] = [];

  emit(event: unknown): void {
    this.sent.push(event);
  }
}

function messageOf(event: string): Message {
  return new Message(
    event,
    () => undefined,
    0,
    () => undefined,
  );
}

function check(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise);
}
