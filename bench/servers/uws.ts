import { loadNative } from '../peers/native.js';
import { encodeAck, encodeMessage, readRequest } from './plain-rooms.js';
import { serve } from './serve.js';

/** uWebSockets.js with its own topics: no authentication, no protocol, no limits. */
const MAX_BACKPRESSURE = 64 * 1_048_576;
const native = loadNative();

const app = native.App().ws('/*', {
  maxBackpressure: MAX_BACKPRESSURE,
  message: (socket, message) => {
    const request = readRequest(Buffer.from(message).toString());
    if (request.event === 'join') socket.subscribe(request.room);
    if (request.event === 'leave') socket.unsubscribe(request.room);
    socket.send(encodeAck(request), false);
  },
});

app.listen('127.0.0.1', 0, (token) => {
  serve(native.us_socket_local_port(token), {
    emit: (room, message) => app.publish(room, encodeMessage(message), false),
  });
});
