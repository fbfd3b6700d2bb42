import type { INestApplication } from '@nestjs/common';
import { SOCKET_SERVERS } from 'nestjs-realtime';
import { eventually } from './eventually.js';

/**
 * Rejects if Socket.IO keeps a socket whose transport has ended: its namespace would hold it for ever, and no `disconnect` would
 * come. The library's own counts are right then all the same, so each test app is asked when it is disposed of.
 */
export async function noDeadSockets(app: INestApplication): Promise<void> {
  const servers = app.get(SOCKET_SERVERS, { strict: false })();
  await eventually(() => {
    for (const server of servers) {
      for (const { name, sockets } of (server as unknown as Internals)._nsps.values()) {
        const dead = [...sockets.values()].filter(({ conn }) => conn.readyState === 'closed');
        if (dead.length > 0) throw new Error(`${dead.length} sockets of '${name}' outlived their transports`);
      }
    }
  });
}

interface Internals {
  readonly _nsps: ReadonlyMap<string, Namespace>;
}

interface Namespace {
  readonly name: string;
  readonly sockets: ReadonlyMap<string, { readonly conn: { readonly readyState: string } }>;
}
