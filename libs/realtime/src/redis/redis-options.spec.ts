import { checkRedisOptions } from './check-redis-options.js';
import { describeAddress } from './redis-clients.js';
import { reconnectDelayMs, socketTimeouts } from './wire-client.js';
import { resolveRedisOptions, type RedisOptions } from './redis-options.js';

describe('when Redis options are checked', () => {
  it.each<[string, RedisOptions]>([
    ['a url', { url: 'redis://localhost' }],
    ['a TLS url with a password', { url: 'rediss://user:p%40ss@[::1]:6380/2' }],
    ['a Unix socket', { url: 'unix:///run/redis.sock' }],
    ['host alone', { socket: { host: 'redis' } }],
    ['Sentinel', { sentinel: { name: 'main', nodes: [{ host: 'a', port: 26379 }] } }],
    ['Cluster', { cluster: { nodes: [{ host: 'a', port: 7000 }] } }],
    ['a prefix', { url: 'redis://a', keyPrefix: 'my-app_2.x:' }],
    ['the adapter of stock nodes', { url: 'redis://a', keyPrefix: 'my-app:', adapter: { key: 'socket.io' } }],
    ['every number', { url: 'redis://a', probeIntervalMs: 1, probeTimeoutMs: 2, commandTimeoutMs: 1, database: 0 }],
  ])('accepts %s', (_, options) => expect(checkRedisOptions(options)).toEqual([]));

  it.each<[string, RedisOptions, RegExp[]]>([
    ['an object without an address', {}, [/no address/]],
    ['two addresses', { url: 'redis://a', socket: { host: 'a' } }, [/only one of url, socket/]],
    ['another scheme', { url: 'http://a' }, [/redis\.url/]],
    ['a password with a bare %', { url: 'redis://ada:pa%ss@a' }, [/^redis\.url: has a '%' .* write %25[^@]*$/]],
    ['a socket without host and path', { socket: { port: 1 } }, [/redis\.socket/]],
    ['empty lists', { cluster: { nodes: [] } }, [/redis\.cluster\.nodes/]],
    ['a database in a cluster', { cluster: { nodes: [{ host: 'a', port: 1 }] }, database: 1 }, [/redis\.database/]],
    ['a prefix with braces', { url: 'redis://a', keyPrefix: '{rt}:' }, [/redis\.keyPrefix/]],
    ['an empty prefix', { url: 'redis://a', keyPrefix: '' }, [/redis\.keyPrefix/]],
    ['a key like the prefix', { url: 'redis://a', keyPrefix: 'so', adapter: { key: 'socket.io' } }, [/adapter\.key/]],
    ['a probe that is never late', { url: 'redis://a', probeTimeoutMs: 2_000 }, [/redis\.probeTimeoutMs/]],
    [
      'everything at once',
      { commandTimeoutMs: 0, maxQueuedCommands: Number.NaN, database: -1, adapter: { key: '', requestsTimeoutMs: 0 } },
      [
        /no address/,
        /commandTimeoutMs/,
        /maxQueuedCommands/,
        /redis\.database/,
        /adapter\.key/,
        /adapter\.requestsTimeoutMs/,
      ],
    ],
  ])('names what is wrong with %s', (_, options, problems) => {
    const found = checkRedisOptions(options);
    expect(found).toHaveLength(problems.length);
    problems.forEach((problem, i) => expect(found[i]).toMatch(problem));
  });

  it('never repeats a secret', () => {
    expect(checkRedisOptions({ url: 'http://u:s3cret@a', password: 's3cret' }).join()).not.toContain('s3cret');
    const resolved = resolveRedisOptions({ url: 'redis://u:s3cret@host:1' });
    expect(describeAddress(resolved)).toBe('host:1');
    expect(describeAddress(resolveRedisOptions({ url: 'unix://u:s3cret@/run/r.sock?db=1' }))).toBe('/run/r.sock');
  });
});

describe('when an app has a prefix of its own', () => {
  it.each([
    [undefined, 'socket.io'],
    ['rt:', 'socket.io'],
    ['my-app:', 'socket.io:my-app:/'],
  ])('gives the adapter a key with %s in it', (keyPrefix, key) =>
    expect(resolveRedisOptions({ url: 'redis://a', keyPrefix }).adapter.key).toBe(key),
  );
});

describe('when a client is made', () => {
  it('never sets a socket timeout without a reconnect strategy that goes on for ever', () => {
    const sockets = socketTimeouts(resolveRedisOptions({ url: 'redis://a' }));
    expect(sockets.socketTimeout).toBeGreaterThan(4_000);
    for (let retries = 0; retries < 10_000; retries += 100) {
      const delayMs = sockets.reconnectStrategy(retries);
      expect(delayMs).toBeGreaterThanOrEqual(20);
      expect(delayMs).toBeLessThanOrEqual(2_000);
    }
  });

  it('spreads reconnects by full jitter up to 2 s', () => {
    expect([0, 1, 4, 20].map((attempt) => reconnectDelayMs(attempt, () => 0))).toEqual([20, 20, 20, 20]);
    expect([0, 1, 4, 20].map((attempt) => reconnectDelayMs(attempt, () => 0.9999))).toEqual([49, 99, 799, 1_999]);
  });
});
