import { readConfig } from './config.js';

describe('readConfig', () => {
  it('needs nothing in development', () => {
    expect(readConfig({})).toMatchObject({
      port: 3000,
      redisUrl: undefined,
      engine: 'memory',
      usesDevelopmentSecret: true,
    });
  });

  it('wants a secret in production, and never lists other nodes there', () => {
    expect(() => readConfig({ NODE_ENV: 'production' })).toThrow('JWT_SECRET is required');
    const env = { NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32), DEMO_CLUSTER: 'http://localhost:3001' };
    expect(readConfig(env)).toMatchObject({ isProduction: true, usesDevelopmentSecret: false, clusterUrls: [] });
  });

  it('tells all problems in one message', () => {
    const env = { PORT: '70000', REDIS_URL: 'localhost', JWT_SECRET: 'short', NODE_NAME: 'a b' };
    expect(() => readConfig(env)).toThrow(/PORT[^]*REDIS_URL[^]*JWT_SECRET[^]*NODE_NAME/);
  });
});
