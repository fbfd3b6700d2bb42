import type { INestApplication } from '@nestjs/common';
import { SOCKET_SERVERS } from 'nestjs-realtime';
import { eventually } from './eventually.js';

/**
 * Ends all transports, and rejects if Socket.IO keeps a socket all the same: its namespace would hold it for ever, and no
 * `disconnect` would come. The library's own counts are right then, so each test app is asked when it is disposed of.
 */
export async function endTransports(app: INestApplication): Promise<void> {
  const servers = app.get(SOCKET_SERVERS, { strict: false })() as unknown as Internals[];
  for (const { engine } of servers) for (const transport of Object.values(engine.clients)) transport.close(true);
  await eventually(() => {
    for (const { _nsps } of servers) {
      for (const { name, sockets } of _nsps.values())
        if (sockets.size > 0) throw new Error(`${sockets.size} sockets of '${name}' outlived their transports`);
    }
  });
}

interface Internals {
  readonly engine: { readonly clients: Readonly<Record<string, { close(discard: boolean): void }>> };
  readonly _nsps: ReadonlyMap<string, { readonly name: string; readonly sockets: ReadonlyMap<string, unknown> }>;
}
