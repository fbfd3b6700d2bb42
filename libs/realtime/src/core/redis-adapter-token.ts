/** Injection token of the Socket.IO adapter for `@socket.io/redis-adapter`; undefined when everything runs in memory. */
export const REDIS_ADAPTER = Symbol.for('nestjs-realtime:REDIS_ADAPTER');
