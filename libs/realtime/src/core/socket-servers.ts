/**
 * Injection token of the app's Socket.IO servers: `() => readonly Server[]`, for tools that want one, such as Socket.IO's admin
 * UI. Ask in `onApplicationBootstrap` or later: gateways make them. What is emitted on one goes around rooms and their order.
 */
export const SOCKET_SERVERS = Symbol.for('nestjs-realtime:SOCKET_SERVERS');
