import { WebSocketsController } from '@nestjs/websockets/web-sockets-controller.js';

/** A handler of a gateway as Nest made it, enhancers included: one for all connections. */
export interface GatewayHandler {
  readonly message: unknown;
  readonly callback: (...args: unknown[]) => unknown;
  readonly isAckHandledManually?: boolean;
}

/** An adapter that takes the handlers of a gateway as they are. */
export interface SharesHandlers {
  /** False: it wants them bound to the client, as other adapters do. */
  bindGatewayHandlers(client: object, handlers: readonly GatewayHandler[], gateway: object): boolean;
}

interface Controller {
  readonly config: { getIoAdapter(): Partial<SharesHandlers> };
  subscribeMessages?: (handlers: readonly GatewayHandler[], client: object, gateway: object) => void;
  [SHARED]?: true;
}

const SHARED = Symbol.for('nestjs-realtime:shares-handlers');

/**
 * Nest binds every handler of a gateway to every client, which is 130 bytes each: more than all that we keep. Its controller
 * offers the unbound ones first to an adapter that shares them. Pinned in test/contract/nest; where Nest is built differently
 * the adapter gets bound ones.
 * @returns undoes it, unless it was done before.
 */
export function shareHandlers(): () => void {
  const controller = WebSocketsController.prototype as unknown as Controller;
  const { subscribeMessages } = controller;
  if (controller[SHARED] || !subscribeMessages) return () => undefined;
  controller.subscribeMessages = function (this: Controller, handlers, client, gateway) {
    if (this.config.getIoAdapter().bindGatewayHandlers?.(client, handlers, gateway) === true) return;
    subscribeMessages.call(this, handlers, client, gateway);
  };
  controller[SHARED] = true;
  return () => {
    controller.subscribeMessages = subscribeMessages;
    delete controller[SHARED];
  };
}
