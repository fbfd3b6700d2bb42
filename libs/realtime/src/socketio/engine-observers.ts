import type { EventEmitter } from 'node:events';

const HAD_OBSERVERS = Symbol('nestjs-realtime:had-observers');

/** Engine.IO's server, or one of its connections: both tell of packets, if they go through them. */
export interface Observed extends EventEmitter {
  [HAD_OBSERVERS]?: boolean;
}

/** Whether who listens to the event is told of what is written. */
export function isObserverOf(event: unknown): boolean {
  return event === 'packetCreate' || event === 'flush' || event === 'drain';
}

/** For `newListener`; one function for all connections. */
export function noteObserver(this: Observed, event: unknown): void {
  if (isObserverOf(event)) this[HAD_OBSERVERS] = true;
}

/** Costs a look at one field until somebody listens, and again when nobody does any more. */
export function isObserved(emitter: Observed, ownListeners: number): boolean {
  if (emitter[HAD_OBSERVERS] !== true) return false;
  const [packets, others] = [emitter.listenerCount('packetCreate'), ['flush', 'drain']];
  const isStill = packets > ownListeners || others.some((event) => emitter.listenerCount(event) > 0);
  emitter[HAD_OBSERVERS] = isStill;
  return isStill;
}
