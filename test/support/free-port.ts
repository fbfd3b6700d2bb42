import net from 'node:net';

const FIRST = 12_000;
const COUNT = 10_000;
/** Jest workers draw from ports of their own: what one has stopped for a moment must not be another's find. */
const SHARES = 10;

const given = new Set<number>();

/**
 * A free port, given once, for a server that a test may stop and start again. It lies below the ports that Linux takes for
 * outgoing connections (`net.ipv4.ip_local_port_range`: 32768 and up): one of those could take it while its server is away.
 * The bus of a Redis Cluster listens 10 000 above: below them, too, and never on a port that is given here.
 */
export async function freePort(): Promise<number> {
  const share = Number(process.env['JEST_WORKER_ID'] ?? 0) % SHARES;
  for (let attempt = 1; attempt <= COUNT; attempt += 1) {
    const port = FIRST + SHARES * Math.floor((Math.random() * COUNT) / SHARES) + share;
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port from ${FIRST} to ${FIRST + COUNT}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
