import { once } from 'node:events';
import net from 'node:net';
import { eventually } from './eventually.js';

export interface Upgrade {
  readonly path?: string;
  readonly headers?: readonly string[];
}

export const SERVED = '/socket.io/?EIO=4&transport=websocket';

/** A TCP connection on which an upgrade was asked for; the answer, if there is one, is in `answer`. */
export async function upgrade(url: string, { path = SERVED, headers = [] }: Upgrade = {}) {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const closed = once(socket, 'close');
  return {
    socket,
    /** The other side has ended it. */
    closed,
    status: async (): Promise<number> =>
      Number(/^HTTP\/1\.1 (\d+)/.exec(await eventually(() => expectText(text)))?.[1]),
  };
}

function expectText(text: string): string {
  expect(text).not.toBe('');
  return text;
}
