import { IDLE, reduce, type ConnectionEvent, type ConnectionState } from './connection-state.js';

const away = { code: 'UNAVAILABLE', message: 'gone', retryable: true };
const refused = { code: 'UNAUTHORIZED', message: 'no token', retryable: false };

function after(...events: ConnectionEvent[]): ReturnType<typeof reduce> {
  return events.reduce<ReturnType<typeof reduce>>(({ state }, event) => reduce(state, event, 0.5), {
    state: IDLE,
    effects: [],
  });
}

describe('when a client is idle', () => {
  it('opens one connection, however often it is asked', () => {
    expect(after({ type: 'connect' })).toMatchObject({
      state: { status: 'connecting' },
      effects: [{}, { type: 'open' }],
    });
    expect(after({ type: 'connect' }, { type: 'connect' }, { type: 'wake' }).effects).toEqual([]);
  });

  it('wakes up when somebody needs it, a closed or failed one does not', () => {
    expect(after({ type: 'wake' }).state.status).toBe('connecting');
    expect(after({ type: 'close' }, { type: 'wake' }).state.status).toBe('closed');
    expect(after({ type: 'connect' }, { type: 'lost', error: refused }, { type: 'wake' }).state.status).toBe('failed');
  });
});

describe('when a connection is lost', () => {
  it('waits with full jitter, longer after each failure', () => {
    const delays: (number | undefined)[] = [];
    let state: ConnectionState = after({ type: 'connect' }).state;
    for (let n = 0; n < 6; n += 1) {
      state = reduce(state, { type: 'lost', error: away }, 0.5).state;
      delays.push(state.retryInMs);
      state = reduce(state, { type: 'due' }, 0.5).state;
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it('starts over after it was connected', () => {
    const { state } = after(
      { type: 'connect' },
      { type: 'lost', error: away },
      { type: 'due' },
      { type: 'opened' },
      { type: 'lost', error: away },
    );
    expect(state).toMatchObject({ status: 'waiting', retryInMs: 1_000, attempt: 1 });
  });

  it('takes the delay of the server instead of its own', () => {
    const drained: ConnectionEvent[] = [{ type: 'connect' }, { type: 'opened' }, { type: 'notice', delayMs: 7 }];
    expect(after(...drained, { type: 'lost', error: away }).state.retryInMs).toBe(7);
    const busy = { ...away, retryAfterMs: 1_234 };
    expect(after({ type: 'connect' }, { type: 'lost', error: busy }).state.retryInMs).toBe(1_234);
  });

  it('is one loss, however many events tell of it', () => {
    const lost: ConnectionEvent = { type: 'lost', error: away };
    expect(after({ type: 'connect' }, lost, lost)).toMatchObject({ state: { attempt: 1 }, effects: [] });
  });
});

describe('when the server ends a connection', () => {
  it.each([
    [true, 'waiting'],
    [false, 'failed'],
  ])('and its bye is retryable: %s, the client is %s', (retryable, status) => {
    const bye: ConnectionEvent = { type: 'notice', error: { code: 'REVOKED', message: 'bye', retryable } };
    const { state } = after({ type: 'connect' }, { type: 'opened' }, bye, { type: 'lost', error: away });
    expect(state).toMatchObject({ status, error: { code: 'REVOKED' } });
  });

  it('forgets the bye once it is connected again', () => {
    const bye: ConnectionEvent = { type: 'notice', error: { code: 'TOKEN_EXPIRED', message: 'bye', retryable: true } };
    const lost: ConnectionEvent = { type: 'lost', error: away };
    const { state } = after(
      { type: 'connect' },
      { type: 'opened' },
      bye,
      lost,
      { type: 'due' },
      { type: 'opened' },
      lost,
    );
    expect(state.error?.code).toBe('UNAVAILABLE');
  });
});

describe('when a client is closed', () => {
  it('drops the connection and its timer, and late events change nothing', () => {
    const closed = after({ type: 'connect' }, { type: 'lost', error: away }, { type: 'close' });
    expect(closed.effects).toEqual([{ type: 'cancel' }, { type: 'drop' }]);
    for (const event of [{ type: 'due' }, { type: 'opened' }, { type: 'lost', error: away }] as const)
      expect(reduce(closed.state, event, 0.5).state).toBe(closed.state);
  });

  it('connects again when it is told to', () => {
    expect(after({ type: 'close' }, { type: 'connect' }).state.status).toBe('connecting');
  });
});
