import {
  CONNECT_WITHIN_MS,
  IDLE,
  STABLE_AFTER_MS,
  reduce,
  type ClientStatus,
  type ConnectionEvent,
  type ConnectionState,
} from './connection-state.js';

const away = { code: 'UNAVAILABLE', message: 'gone', retryable: true };
const refused = { code: 'UNAUTHORIZED', message: 'no token', retryable: false };
const lost: ConnectionEvent = { type: 'lost', error: away };
type Timed = ConnectionEvent | [now: number, event: ConnectionEvent];

/** The last transition of a history; events happen at 0 ms unless they say when. */
function after(...history: Timed[]): ReturnType<typeof reduce> {
  let result: ReturnType<typeof reduce> = { state: IDLE, effects: [] };
  for (const timed of history) {
    const [now, event] = Array.isArray(timed) ? timed : [0, timed];
    result = reduce(result.state, event, { now, random: 0.5 });
  }
  return result;
}

const AT: Record<ClientStatus, ConnectionState> = {
  idle: IDLE,
  connecting: after({ type: 'connect' }).state,
  connected: after({ type: 'connect' }, { type: 'opened' }).state,
  waiting: after({ type: 'connect' }, lost).state,
  closed: after({ type: 'close' }).state,
  failed: after({ type: 'connect' }, { type: 'lost', error: refused }).state,
};

const OPEN = ['open', `wait ${CONNECT_WITHIN_MS}`];
/** status × event → the next status and its effects; what is not listed changes nothing. */
const TABLE: [ClientStatus, ConnectionEvent, ClientStatus, string[]][] = [
  ['idle', { type: 'connect' }, 'connecting', OPEN],
  ['idle', { type: 'wake' }, 'connecting', OPEN],
  ['idle', { type: 'close' }, 'closed', ['drop']],
  ['connecting', { type: 'opened' }, 'connected', ['cancel']],
  ['connecting', { type: 'due' }, 'waiting', ['drop', 'wait 1000']],
  ['connecting', lost, 'waiting', ['cancel', 'drop', 'wait 1000']],
  ['connecting', { type: 'lost', error: refused }, 'failed', ['cancel', 'drop']],
  ['connecting', { type: 'close' }, 'closed', ['cancel', 'drop']],
  ['connected', lost, 'waiting', ['drop', 'wait 1000']],
  ['connected', { type: 'lost', error: refused }, 'failed', ['drop']],
  ['connected', { type: 'offline' }, 'waiting', ['drop', 'wait 1000']],
  ['connected', { type: 'online' }, 'connected', ['check']],
  ['connected', { type: 'visible' }, 'connected', ['check']],
  ['connected', { type: 'close' }, 'closed', ['drop']],
  ['waiting', { type: 'connect' }, 'connecting', ['cancel', ...OPEN]],
  ['waiting', { type: 'due' }, 'connecting', OPEN],
  ['waiting', { type: 'online' }, 'connecting', ['cancel', ...OPEN]],
  ['waiting', { type: 'visible' }, 'connecting', ['cancel', ...OPEN]],
  ['waiting', { type: 'close' }, 'closed', ['cancel', 'drop']],
  ['closed', { type: 'connect' }, 'connecting', OPEN],
  ['failed', { type: 'connect' }, 'connecting', OPEN],
  ['failed', { type: 'close' }, 'closed', ['drop']],
];
const EVENTS: ConnectionEvent[] = [
  { type: 'connect' },
  { type: 'wake' },
  { type: 'close' },
  { type: 'opened' },
  lost,
  { type: 'due' },
  { type: 'online' },
  { type: 'offline' },
  { type: 'visible' },
];
const told = ({ effects }: ReturnType<typeof reduce>): string[] =>
  effects.map((effect) => (typeof effect === 'object' ? `wait ${effect.delayMs}` : effect));

describe('when an event meets a state', () => {
  it.each(TABLE)('%s, %j → %s: %j', (from, event, to, effects) => {
    const result = reduce(AT[from], event, { now: 0, random: 0.5 });
    expect([result.state.status, told(result)]).toEqual([to, effects]);
  });

  const isListed = (status: ClientStatus, { type }: ConnectionEvent): boolean =>
    TABLE.some(([from, event]) => from === status && event.type === type);
  const rest = (Object.keys(AT) as ClientStatus[]).flatMap((status) =>
    EVENTS.filter((event) => !isListed(status, event)).map((event) => [status, event] as const),
  );

  it.each(rest)('%s, %j → nothing happens', (status, event) => {
    const result = reduce(AT[status], event, { now: 0, random: 0.5 });
    expect([result.state.status, result.effects]).toEqual([status, []]);
  });
});

describe('when a connection is lost', () => {
  it('waits with full jitter, longer after each failure', () => {
    const delays: (number | undefined)[] = [];
    let state: ConnectionState = AT.connecting;
    for (let n = 0; n < 6; n += 1) {
      state = reduce(state, lost, { now: 0, random: 0.5 }).state;
      delays.push(state.retryInMs);
      state = reduce(state, { type: 'due' }, { now: 0, random: 0.5 }).state;
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it.each([
    ['starts over after a connection that lasted', STABLE_AFTER_MS, 1, 1_000],
    ['goes on counting after one that ended at once', STABLE_AFTER_MS - 1, 2, 2_000],
  ])('%s', (_, lastedMs, attempt, retryInMs) => {
    const history: Timed[] = [{ type: 'connect' }, lost, { type: 'due' }, { type: 'opened' }, [lastedMs, lost]];
    expect(after(...history).state).toMatchObject({ status: 'waiting', attempt, retryInMs });
  });

  it('takes the delay of the server instead of its own, and nothing comes before it', () => {
    const drained = after({ type: 'connect' }, { type: 'opened' }, { type: 'notice', delayMs: 700 }, lost).state;
    expect(drained.retryInMs).toBe(700);
    const wokenAt = (now: number, type: 'online' | 'visible') =>
      reduce(drained, { type }, { now, random: 0.5 }).state.status;
    expect([wokenAt(699, 'online'), wokenAt(699, 'visible'), wokenAt(700, 'online')]).toEqual([
      'waiting',
      'waiting',
      'connecting',
    ]);
    const busy: ConnectionEvent = { type: 'lost', error: { ...away, retryAfterMs: 1_234 } };
    expect(after({ type: 'connect' }, busy).state.retryInMs).toBe(1_234);
  });

  it.each([
    [-1, 1_000],
    [Number.NaN, 1_000],
    [Number.MAX_VALUE, 3_600_000],
  ])('does not believe a delay of %d', (retryAfterMs, expected) => {
    expect(after({ type: 'connect' }, { type: 'lost', error: { ...away, retryAfterMs } }).state.retryInMs).toBe(
      expected,
    );
  });

  it('remembers that the device is offline until it is online', () => {
    const offline = after({ type: 'connect' }, { type: 'offline' }, lost);
    expect(offline.state).toMatchObject({ status: 'waiting', isOffline: true });
    expect(reduce(offline.state, { type: 'online' }, { now: 0, random: 0 }).state.isOffline).toBeUndefined();
  });
});

describe('when the server ends a connection', () => {
  it.each([
    ['REVOKED', false, 'failed'],
    ['UNAVAILABLE', true, 'waiting'],
    ['TOKEN_EXPIRED', false, 'waiting'],
  ])('with the bye %s, retryable: %s, the client is %s', (code, retryable, status) => {
    const bye: ConnectionEvent = { type: 'notice', error: { code, message: 'bye', retryable } };
    const { state } = after({ type: 'connect' }, { type: 'opened' }, bye, lost);
    expect(state).toMatchObject({ status, error: { code } });
  });

  it('forgets the bye once it is connected again', () => {
    const bye: ConnectionEvent = { type: 'notice', error: { code: 'TOKEN_EXPIRED', message: 'bye', retryable: true } };
    const again: Timed[] = [{ type: 'due' }, { type: 'opened' }, lost];
    expect(after({ type: 'connect' }, { type: 'opened' }, bye, lost, ...again).state.error?.code).toBe('UNAVAILABLE');
  });
});
