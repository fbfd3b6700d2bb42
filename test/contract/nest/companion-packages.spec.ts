import { JwtService } from '@nestjs/jwt';
import { HealthCheckService, HealthIndicatorService, TerminusModule } from '@nestjs/terminus';
import { runFixture } from './fixtures/run-fixture.js';
import { nestMajor, startApp } from './support.js';

async function jwtErrors(): Promise<void> {
  const jwt = new JwtService({ secret: 'a secret of the test' });
  const nameOf = (token: string): Promise<unknown> => jwt.verifyAsync(token).catch((error: Error) => error.name);

  expect(await nameOf(jwt.sign({ sub: 'ada' }))).toMatchObject({ sub: 'ada' });
  expect(await nameOf('no token')).toBe('JsonWebTokenError');
  expect(await nameOf(jwt.sign({}, { secret: 'another' }))).toBe('JsonWebTokenError');
  expect(await nameOf(jwt.sign({}, { expiresIn: -1 }))).toBe('TokenExpiredError');
  expect(await nameOf(jwt.sign({}, { notBefore: 60 }))).toBe('NotBeforeError');
}

async function terminusSessions(): Promise<void> {
  const { app } = await startApp({
    imports: [TerminusModule.forRoot({ gracefulShutdownTimeoutMs: 60_000, logger: false })],
  });
  const session = app.get(HealthIndicatorService).check('realtime');

  expect(session.up({ connections: 2 })).toEqual({ realtime: { status: 'up', connections: 2 } });
  expect(session.down('away')).toEqual({ realtime: { status: 'down', message: 'away' } });
  if (nestMajor >= 12) {
    const health = await app.get(HealthCheckService).check([() => session.degraded({ redis: 'away' })]);
    expect(health).toMatchObject({ status: 'degraded', details: { realtime: { status: 'degraded', redis: 'away' } } });
    expect(
      await session
        .attempt(() => ({ rtt: 1 }))
        .withTimeout(1_000)
        .cacheFor(1_000),
    ).toMatchObject({
      realtime: { status: 'up', rtt: 1 },
    });
  } else {
    expect(session).not.toHaveProperty('degraded');
    expect(session).not.toHaveProperty('attempt');
  }
}

async function gracefulShutdown(): Promise<void> {
  const { app: patient } = await startApp({ imports: [TerminusModule.forRoot({ gracefulShutdownTimeoutMs: 60_000 })] });
  await patient.close();

  const { app } = await startApp({ imports: [TerminusModule.forRoot({ gracefulShutdownTimeoutMs: 100 })] });
  const before = performance.now();
  const closable: { close(signal: string): Promise<void> } = app;
  await closable.close('SIGTERM');
  expect(performance.now() - before).toBeGreaterThan(90);
}

describe('when jwt, terminus and throttler are used beside Nest', () => {
  it('rejects with the errors of jsonwebtoken, has up, down and (12) degraded, waits on SIGTERM only, and throttles in ms in and seconds out', async () => {
    await jwtErrors();
    await terminusSessions();
    await gracefulShutdown();

    const { stdout, stderr } = await runFixture('throttler-storage.mjs');
    if (!stdout) throw new Error(stderr);
    expect(JSON.parse(stdout)).toEqual({
      hits: [
        { totalHits: 1, timeToExpire: 30, isBlocked: false, timeToBlockExpire: expect.any(Number) as number },
        { totalHits: 2, timeToExpire: 30, isBlocked: true, timeToBlockExpire: 10 },
      ],
      withoutInit: 'TypeError',
      withInit: true,
    });
  });
});
