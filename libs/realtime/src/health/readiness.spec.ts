import type { HealthSource } from '../core/health-source.js';
import { judgeReadiness, type ReadinessRules } from './readiness.js';

const healthy: HealthSource = {
  isStarted: true,
  isDraining: false,
  hasHeardProbe: true,
  redis: { state: 'up', roundTripMs: 2 },
  eventLoopLagMs: 3,
  isAtCapacity: false,
  transports: 10,
};
const rules: ReadinessRules = { maxEventLoopLagMs: 500, onRedisDown: 'report' };

describe('when a node is asked whether it is ready', () => {
  it.each<{ what: string; source: Partial<HealthSource>; rules?: Partial<ReadinessRules>; reasons: string[] }>([
    { what: 'all is well', source: {}, reasons: [] },
    { what: 'it starts', source: { isStarted: false }, reasons: ['starting'] },
    { what: 'it drains', source: { isDraining: true }, reasons: ['draining'] },
    { what: 'the loop lags', source: { eventLoopLagMs: 501 }, reasons: ['lag'] },
    { what: 'lag does not count', source: { eventLoopLagMs: 9_000 }, rules: { maxEventLoopLagMs: 0 }, reasons: [] },
    { what: 'it is full', source: { isAtCapacity: true }, reasons: ['capacity'] },
    { what: 'it never heard itself', source: { hasHeardProbe: false }, reasons: ['deaf'] },
    { what: 'there is no Redis', source: { hasHeardProbe: false, redis: { state: 'off' } }, reasons: [] },
    { what: 'Redis is away', source: { redis: { state: 'degraded' } }, reasons: [] },
    {
      what: 'Redis is away and counts',
      source: { redis: { state: 'degraded' } },
      rules: { onRedisDown: 'fail' },
      reasons: ['redis'],
    },
    {
      what: 'everything is wrong',
      source: { isStarted: false, isDraining: true, isAtCapacity: true },
      reasons: ['starting', 'draining', 'capacity'],
    },
  ])('says $reasons when $what', ({ source, reasons, rules: changed }) => {
    expect(judgeReadiness({ ...healthy, ...source }, false, { ...rules, ...changed }).reasons).toEqual(reasons);
  });

  it('comes back at half the lag limit only', () => {
    const lags = [100, 501, 400, 260, 499, 251, 250, 400, 500];
    let wasLagging = false;
    const verdicts = lags.map((eventLoopLagMs) => {
      wasLagging = judgeReadiness({ ...healthy, eventLoopLagMs }, wasLagging, rules).isLagging;
      return wasLagging;
    });
    expect(verdicts).toEqual([false, true, true, true, true, true, false, false, false]);
  });
});
