import { readConfig } from './config.js';

describe('readConfig', () => {
  it('needs nothing in development', () => {
    expect(readConfig({})).toMatchObject({
      port: 3000,
      redisUrl: undefined,
      engine: 'memory',
      isDevelopment: true,
      host: '127.0.0.1',
    });
  });

  it('wants a secret of its own in production', () => {
    expect(() => readConfig({ NODE_ENV: 'production' })).toThrow('JWT_SECRET is required');
    const { jwtSecret } = readConfig({});
    expect(() => readConfig({ NODE_ENV: 'production', JWT_SECRET: jwtSecret })).toThrow('published development secret');
  });

  it.each(['production', 'development', undefined])(
    "is nobody's playground with a secret of its own, in %s",
    (NODE_ENV) => {
      const env = { NODE_ENV, JWT_SECRET: 'x'.repeat(32), DEMO_CLUSTER: 'http://localhost:3001' };
      expect(readConfig(env)).toMatchObject({ isDevelopment: false, host: undefined, clusterUrls: [] });
    },
  );

  it('tells all problems in one message', () => {
    const env = { PORT: '70000', REDIS_URL: 'localhost', JWT_SECRET: 'short', NODE_NAME: 'a b' };
    expect(() => readConfig(env)).toThrow(/PORT[^]*REDIS_URL[^]*JWT_SECRET[^]*NODE_NAME/);
  });
});
