import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UNTRUSTED } from '../client/untrusted-certificate.js';
import { RedisConnection } from '../support/engines.js';
import { freePort } from '../support/free-port.js';
import { startRedis } from '../support/redis.js';
import { TIMES, delivers, startBusNode, watchUnhandled } from './bus-nodes.js';

watchUnhandled();

const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };
/** A certificate for a name, signed by itself: who trusts it asks for that name. */
const tls = { ca: UNTRUSTED.cert, servername: 'untrusted.test' };

/** Needs a redis-server that was built with TLS, as the distributions' are. */
describe('when Redis speaks TLS', () => {
  let folder: string;
  let args: string[];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rt-tls-'));
    const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
    writeFileSync(files.cert, UNTRUSTED.cert);
    writeFileSync(files.key, UNTRUSTED.key, { mode: 0o600 });
    args = ['--tls-cert-file', files.cert, '--tls-key-file', files.key, '--tls-ca-cert-file', files.cert];
    args.push('--tls-auth-clients', 'no');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('connects with the authority it was given, by url and by address, and refuses without', async () => {
    const port = await freePort();
    await using redis = await startRedis({ args: ['--tls-port', String(port), ...args] });
    expect(redis.port).not.toBe(port);
    await using byUrl = await startBusNode({ url: `rediss://127.0.0.1:${port}`, tls });
    await using byAddress = await startBusNode({ socket: { host: '127.0.0.1', port }, tls });
    await delivers(byUrl, byAddress, 'c');
    const lines: string[] = [];
    const logger = { ...quiet, warn: (line: string) => void lines.push(line) };
    const distrusting = new RedisConnection(
      { ...TIMES, url: `rediss://127.0.0.1:${port}`, required: true, connectTimeoutMs: 5_000 },
      { logger },
    );
    await expect(distrusting.ready()).rejects.toThrow(/self-signed|unable to verify|altnames/i);
    expect(lines).toHaveLength(1);
  });
});
