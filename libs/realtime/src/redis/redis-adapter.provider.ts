/**
 * Token of the Socket.IO adapter for ephemeral emits: a factory `(namespace) => Adapter`, or undefined without Redis.
 * A registered symbol, so that two copies of this package agree. Imports nothing: it is known also where Redis is not used.
 */
export const REDIS_ADAPTER: unique symbol = Symbol.for('nestjs-realtime:REDIS_ADAPTER') as never;
