import fc from 'fast-check';
import { IDLE, reduce, type ConnectionEvent, type ConnectionState } from './connection-state.js';
import type { OutboxEntry, OutboxEvent, OutboxState } from './outbox-entry.js';
import { emptyOutbox, reduceOutbox } from './outbox-state.js';

// fast-check prints the seed and the smallest failing history.
const RUNS = { numRuns: 2_000 };
const CAP_MS = 20_000;

const error = fc.record({
  code: fc.constantFrom('UNAVAILABLE', 'TOKEN_EXPIRED', 'REVOKED', 'RATE_LIMITED'),
  message: fc.constant('x'),
  retryable: fc.boolean(),
});
const connectionEvent: fc.Arbitrary<ConnectionEvent> = fc.oneof(
  fc.constantFrom<ConnectionEvent>(
    ...(['connect', 'wake', 'close', 'opened', 'due', 'offline', 'online', 'visible'] as const).map((type) => ({
      type,
    })),
  ),
  error.map((cause): ConnectionEvent => ({ type: 'lost', error: cause })),
  error.map((cause): ConnectionEvent => ({ type: 'notice', error: cause })),
);

describe('when a connection lives through anything', () => {
  it('never arms two timers, never retries in a terminal state, and waits within [0, cap]', () => {
    const history = fc.array(
      fc.tuple(connectionEvent, fc.nat(30_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      {
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(history, (steps) => {
        let state: ConnectionState = IDLE;
        let isArmed = false;
        let now = 0;
        for (const [event, passedMs, random] of steps) {
          now += passedMs;
          // A timer that is not armed does not fire.
          if (event.type === 'due' && !isArmed) continue;
          if (event.type === 'due') isArmed = false;
          const next = reduce(state, event, { now, random });
          for (const effect of next.effects) {
            if (effect === 'cancel') {
              expect(isArmed).toBe(true);
              isArmed = false;
            } else if (typeof effect === 'object') {
              expect(isArmed).toBe(false);
              isArmed = true;
              expect(effect.delayMs).toBeGreaterThanOrEqual(0);
              expect(effect.delayMs).toBeLessThanOrEqual(CAP_MS);
            } else if (effect === 'open') {
              const wasTerminal = state.status === 'closed' || state.status === 'failed';
              if (wasTerminal) expect(event.type).toBe('connect');
            }
          }
          state = next.state;
          expect(isArmed).toBe(state.status === 'connecting' || state.status === 'waiting');
        }
      }),
      RUNS,
    );
  });
});

const hello = {
  requestWindowMs: 300_000,
  limits: { messagesPerSecond: 2, burst: 3, maxPayloadBytes: 2_000, maxRooms: 10 },
};
type Step = { kind: string; n: number; passedMs: number; flag: boolean };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'add',
    'open',
    'old',
    'lost',
    'ended',
    'answer',
    'refuse',
    'limit',
    'abort',
    'identify',
    'tick',
  ),
  n: fc.nat(1_000),
  passedMs: fc.constantFrom(0, 0, 10, 1_000, 60_000, 250_000),
  flag: fc.boolean(),
});

function entryOf(id: string, { n, flag }: Step, now: number): OutboxEntry {
  return {
    id,
    event: 'e',
    data: n,
    lane: n % 4 === 0 ? undefined : `lane ${n % 3}`,
    offline: (['queue', 'queue', 'reject', 'drop'] as const)[n % 4] ?? 'queue',
    isIdempotent: flag,
    isKept: true,
    bytes: n * 2,
    deadlineAt: now + (n % 5 === 0 ? 5_000 : 600_000),
    principal: n % 7 === 0 ? 'ada' : undefined,
    attempt: 0,
  };
}

function eventOf(one: Step, id: string, state: OutboxState, now: number): OutboxEvent {
  const picked = state.entries[one.n % Math.max(state.entries.length, 1)]?.id ?? 'nobody';
  switch (one.kind) {
    case 'add':
      return { type: 'add', entry: entryOf(id, one, now) };
    case 'open':
      return { type: 'opened', link: hello };
    case 'old':
      return { type: 'opened', link: { ...hello, requestWindowMs: 0 } };
    case 'lost':
      return { type: 'lost' };
    case 'ended':
      return { type: 'ended', error: { code: 'CLOSED', message: '', retryable: false } };
    case 'answer':
      return { type: 'answered', id: picked, answer: one.n };
    case 'refuse':
      return { type: 'answered', id: picked, error: { code: 'FORBIDDEN', message: '', retryable: false } };
    case 'limit':
      return {
        type: 'answered',
        id: picked,
        error: { code: 'RATE_LIMITED', message: '', retryable: true, retryAfterMs: one.n },
      };
    case 'abort':
      return { type: 'aborted', id: picked };
    case 'identify':
      return { type: 'identified', principal: one.flag ? 'ada' : 'bob' };
    default:
      return { type: 'tick' };
  }
}

describe('when an outbox lives through anything', () => {
  it('settles each request exactly once, keeps its lanes in order, and never resends what is not remembered', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let state = emptyOutbox({ maxCount: 12, maxBytes: 10_000 }, undefined);
        let now = 1_000_000;
        const added: string[] = [];
        const settled: string[] = [];
        const firstSent: string[] = [];
        for (const [index, one] of [...steps, { kind: 'ended', n: 0, passedMs: 0, flag: false }].entries()) {
          now += one.passedMs;
          const id = `id ${String(index).padStart(3, '0')}`;
          if (one.kind === 'add') added.push(id);
          const { state: next, effects, wakeAt } = reduceOutbox(state, eventOf(one, id, state, now), now);
          for (const effect of effects) {
            if (effect.type === 'settle') settled.push(effect.entry.id);
            else {
              const { entry } = effect;
              expect(settled).not.toContain(entry.id);
              if (entry.attempt === 1) firstSent.push(entry.id);
              expect(now - (entry.firstSentAt ?? now)).toBeLessThanOrEqual(240_000);
            }
          }
          state = next;
          const flying = state.entries.filter(({ isInFlight }) => isInFlight);
          const lanes = flying.flatMap(({ lane }) => lane ?? []);
          expect(new Set(lanes).size).toBe(lanes.length);
          if (!state.link) expect(flying).toEqual([]);
          // Whoever waits is woken up in time.
          if (state.entries.length > 0) expect(wakeAt).toBeGreaterThan(now - 1);
          expect(state.tokens).toBeLessThanOrEqual(hello.limits.burst);
        }
        expect([...settled].sort()).toEqual(added);
        for (const lane of ['1', '2', '0']) {
          const order = firstSent.filter((id) => String((steps[Number(id.slice(3))]?.n ?? 0) % 3) === lane);
          const ordered = order.filter((id) => (steps[Number(id.slice(3))]?.n ?? 0) % 4 !== 0);
          expect(ordered).toEqual([...ordered].sort());
        }
      }),
      RUNS,
    );
  });
});
