import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import { encodeAck, encodeMessage, readRequest } from './plain-rooms.js';
import { portOf, serve } from './serve.js';

/** The loop that everybody writes with `ws`: no authentication, no protocol, no limits. */
const rooms = new Map<string, Set<WebSocket>>();
const http = createServer();
const server = new WebSocketServer({ server: http });

server.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => {
    const request = readRequest(data.toString());
    if (request.event === 'join')
      rooms.set(request.room, (rooms.get(request.room) ?? new Set<WebSocket>()).add(socket));
    if (request.event === 'leave') rooms.get(request.room)?.delete(socket);
    socket.send(encodeAck(request));
  });
  socket.on('close', () => {
    for (const room of rooms.values()) room.delete(socket);
  });
});

http.listen(0, '127.0.0.1');
await once(http, 'listening');
serve(portOf(http), {
  emit: (room, message) => {
    const text = encodeMessage(message);
    for (const socket of rooms.get(room) ?? []) socket.send(text);
  },
});
