import { systemClock } from '../core/clock.js';
import { createNodeClient } from './node-client.js';
import { resolveRedisOptions } from './redis-options.js';

const classOf = (port: number): unknown => {
  const options = resolveRedisOptions({ url: 'redis://127.0.0.1:6379' });
  const address = { host: '127.0.0.1', port };
  return Object.getPrototypeOf(createNodeClient(options, { clock: systemClock, address, reconnects: false }).raw);
};

describe('clients of several servers', () => {
  it('share one class: to build it anew for each takes longer than to connect', () => {
    expect(classOf(6379)).toBe(classOf(6380));
  });
});
