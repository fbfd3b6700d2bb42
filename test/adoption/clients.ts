import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { GENEROUS_MS } from '../support/eventually.js';

const opened: Socket[] = [];

type Options = Partial<ManagerOptions & SocketOptions>;

/** A stock client with its defaults: polling first. Closed by `closeClients`. */
export function open(url: string, options: Options = {}): Socket {
  const client = io(url, { forceNew: true, ...options });
  opened.push(client);
  return client;
}

export async function connect(url: string, options: Options = {}): Promise<Socket> {
  const client = open(url, options);
  await new Promise<void>((resolve, reject) => {
    client.once('connect', resolve);
    client.once('connect_error', reject);
  });
  return client;
}

export function closeClients(): void {
  for (const client of opened.splice(0)) client.disconnect();
}

/** The first argument of the next `event`. */
export async function next(client: Socket, event: string): Promise<unknown> {
  const others: string[] = [];
  const note = (name: string): number => others.push(name);
  const late = AbortSignal.timeout(GENEROUS_MS);
  client.onAny(note);
  try {
    return await new Promise((resolve, reject) => {
      client.once(event, resolve);
      late.onabort = () =>
        reject(new Error(`${event} did not arrive within ${GENEROUS_MS} ms; heard: ${others.join()}`));
    });
  } finally {
    late.onabort = null;
    client.offAny(note);
  }
}

/** Collects the first argument of each `event` from now on. */
export function collect(client: Socket, event: string): unknown[] {
  const received: unknown[] = [];
  client.on(event, (value: unknown) => received.push(value));
  return received;
}

export function ask(client: Socket, event: string, ...args: unknown[]): Promise<unknown> {
  return client.timeout(GENEROUS_MS).emitWithAck(event, ...args) as Promise<unknown>;
}
