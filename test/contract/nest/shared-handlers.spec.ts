import { WebSocketsController } from '@nestjs/websockets/web-sockets-controller.js';

describe('Nest, when a client connects to a gateway', () => {
  it('lets a method of its controller bind the handlers', () => {
    const { subscribeMessages } = WebSocketsController.prototype as unknown as { subscribeMessages: unknown };
    expect(subscribeMessages).toBeInstanceOf(Function);
    expect(subscribeMessages).toHaveLength(3);
  });

  it('offers unbound handlers, one list for all clients of a gateway', () => {
    const offered: unknown[][] = [];
    const adapter = { bindMessageHandlers: (...args: unknown[]) => offered.push(args) };
    const callback = function (this: unknown, ...args: unknown[]): unknown[] {
      return [this, ...args];
    };
    const gateway = {};
    const client = {};
    const { subscribeMessages } = WebSocketsController.prototype as unknown as {
      subscribeMessages: (handlers: object[], client: object, gateway: object) => void;
    };
    subscribeMessages.call({ config: { getIoAdapter: () => adapter } }, [{ message: 'a', callback }], client, gateway);
    const [[, handlers]] = offered as [[unknown, [{ message: string; callback: (...args: unknown[]) => unknown[] }]]];
    expect(handlers[0].message).toBe('a');
    expect(handlers[0].callback('data', 'ack')).toEqual([gateway, client, 'data', 'ack']);
  });
});
