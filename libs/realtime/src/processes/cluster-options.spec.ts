import { availableParallelism } from 'node:os';
import { resolveClusterOptions, type RealtimeClusterOptions } from './cluster-options.js';

const start = (): Promise<void> => Promise.resolve();

describe('when options are resolved', () => {
  it('fills in the defaults', () => {
    expect(resolveClusterOptions({ port: 3_000, start })).toEqual({
      ...{ start, port: 3_000, host: undefined, workers: availableParallelism(), sticky: false },
      ...{ restart: { minDelayMs: 200, maxDelayMs: 30_000 }, shutdownTimeoutMs: 28_000, logger: console },
    });
  });

  it('takes `undefined` for the default', () => {
    const given = { port: 0, start, workers: undefined, sticky: undefined, restart: undefined, host: undefined };
    expect(resolveClusterOptions(given)).toEqual(resolveClusterOptions({ port: 0, start }));
  });

  it.each([
    [{ workers: 0 }, 'workers: must be a whole number from 1 to 256'],
    [{ workers: -1 }, 'workers: must be a whole number from 1 to 256'],
    [{ workers: Number.NaN }, 'workers: must be a whole number from 1 to 256'],
    [{ workers: 1.5 }, 'workers: must be a whole number from 1 to 256'],
    [{ workers: 257 }, 'workers: must be a whole number from 1 to 256'],
    [{ workers: '4' }, 'workers: must be a whole number from 1 to 256'],
    [{ port: undefined }, 'port: must be a whole number from 0 to 65535'],
    [{ port: Number.NaN }, 'port: must be a whole number from 0 to 65535'],
    [{ port: 65_536 }, 'port: must be a whole number from 0 to 65535'],
    [{ host: '' }, 'host: must be an address'],
    [{ sticky: 'yes' }, 'sticky: must be true or false'],
    [{ start: undefined }, 'start: a function is needed that makes the app and calls `listen(app)`'],
    [{ restart: { minDelayMs: 0 } }, 'restart.minDelayMs: must be a whole number of milliseconds, at least 1'],
    [{ restart: { maxDelayMs: Infinity } }, 'restart.maxDelayMs: must be a whole number of milliseconds, at least 1'],
    [{ restart: { minDelayMs: 40_000 } }, 'restart.minDelayMs: is above restart.maxDelayMs'],
    [{ shutdownTimeoutMs: 2 ** 31 }, 'shutdownTimeoutMs: must be a whole number of milliseconds, at least 1'],
    [{ logger: {} }, 'logger: must have `log`, `warn` and `error`'],
  ])('refuses %j', (wrong, problem) => {
    const options = { port: 3_000, start, ...wrong } as unknown as RealtimeClusterOptions;
    expect(() => resolveClusterOptions(options)).toThrow(`RealtimeCluster cannot be used:\n- ${problem}`);
  });

  it('tells all problems in one error', () => {
    const options = { port: -1, workers: 0 } as unknown as RealtimeClusterOptions;
    expect(() => resolveClusterOptions(options)).toThrow(/start: [^]*port: [^]*workers: /);
    expect(() => resolveClusterOptions(undefined as unknown as RealtimeClusterOptions)).toThrow('an object is needed');
  });
});
