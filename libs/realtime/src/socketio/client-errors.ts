import { STATUS_CODES, type Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';

const TOO_SLOW = 'ERR_HTTP_REQUEST_TIMEOUT';
/** As Node answers by itself; everything else is 400. */
const STATUS: Readonly<Record<string, number>> = {
  [TOO_SLOW]: 408,
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};

/**
 * Does what Node does with a connection that sends no proper request, and two things more: `onTooSlow` is told of each
 * that was not in time, and one that has sent nothing is closed without an answer, which it might leave unread for ever.
 * Steps back where the app listens to `clientError` itself.
 */
export function answerClientErrors(server: HttpServer, onTooSlow: () => void): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: unknown }) => {
    const { code = '' } = error;
    if (code === TOO_SLOW) onTooSlow();
    if (server.listenerCount('clientError') > 1) return;
    const status = STATUS[code] ?? 400;
    // A response that has begun cannot be followed by another one.
    const mayAnswer = socket.writable && socket.bytesRead > 0 && !socket._httpMessage;
    if (mayAnswer) socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
    socket.destroy(error);
  });
}
