import type { OutboxEffect, OutboxEntry, OutboxEvent, OutboxState } from './outbox-entry.js';
import { emptyOutbox, reduceOutbox } from './outbox-state.js';

const hello = {
  requestWindowMs: 300_000,
  limits: { messagesPerSecond: 10, burst: 5, maxPayloadBytes: 10_000, maxRooms: 10 },
};
const opened: OutboxEvent = { type: 'opened', link: hello };
const MINUTE = 60_000;

function entry(id: string, change: Partial<OutboxEntry> = {}): OutboxEntry {
  const fixed = { event: 'e', data: {}, lane: 'e', offline: 'queue', isKept: true, bytes: 10 } as const;
  return { ...fixed, id, isIdempotent: true, deadlineAt: 86_400_000, principal: undefined, attempt: 0, ...change };
}
const add = (id: string, change: Partial<OutboxEntry> = {}): OutboxEvent => ({ type: 'add', entry: entry(id, change) });

function run(...history: (OutboxEvent | [now: number, event: OutboxEvent])[]) {
  let state: OutboxState = emptyOutbox({ maxCount: 4, maxBytes: 1_000_000 }, undefined);
  let wakeAt: number | undefined;
  const log: string[] = [];
  const tell = (effect: OutboxEffect): string => {
    if (effect.type === 'send') return `${effect.entry.id}#${effect.entry.attempt}`;
    return `${effect.entry.id}: ${'error' in effect.outcome ? effect.outcome.error.code : String(effect.outcome.answer)}`;
  };
  for (const step of history) {
    const [now, event] = Array.isArray(step) ? step : [0, step];
    const next = reduceOutbox(state, event, now);
    ({ state, wakeAt } = next);
    log.push(...next.effects.map(tell));
  }
  return { state, log, wakeAt };
}

describe('when requests wait in lanes', () => {
  it('sends one of each lane at a time, in order', () => {
    const { log } = run(opened, add('a', { lane: '1' }), add('b', { lane: '1' }), add('c', { lane: '2' }), {
      type: 'answered',
      id: 'a',
      answer: 'ok',
    });
    expect(log).toEqual(['a#1', 'c#1', 'a: ok', 'b#1']);
  });

  it('paces itself by the limits of the server', () => {
    const none = { lane: undefined };
    const spent: OutboxEvent = { type: 'spent' };
    const { log, wakeAt } = run(opened, spent, spent, spent, spent, add('a', none), add('b', none));
    expect([log, wakeAt]).toEqual([['a#1'], 100]);
    expect(
      run(opened, spent, spent, spent, spent, add('a', none), add('b', none), [100, { type: 'tick' }]).log,
    ).toEqual(['a#1', 'b#1']);
  });
});

describe('when the connection is lost before the answer', () => {
  const back = (now: number, link = hello): [number, OutboxEvent] => [now, { type: 'opened', link }];
  const lost: OutboxEvent = { type: 'lost' };

  it.each([
    ['is sent again with its id', {}, [lost, back(1_000)], ['a#1', 'a#2']],
    ['is sent again up to 4 minutes after the first time', {}, [lost, back(4 * MINUTE)], ['a#1', 'a#2']],
    ['is unknown after that', {}, [lost, back(4 * MINUTE + 1)], ['a#1', 'a: UNKNOWN']],
    ['is unknown after 4 minutes also offline', {}, [lost, [4 * MINUTE + 1, { type: 'tick' }]], ['a#1', 'a: UNKNOWN']],
    [
      'is unknown if the server has forgotten requests',
      {},
      [lost, back(9, { ...hello, requestWindowMs: 0 })],
      ['a#1', 'a: UNKNOWN'],
    ],
    ['is unknown if it is not idempotent', { isIdempotent: false }, [lost], ['a#1', 'a: UNKNOWN']],
    ['is unknown if it was not to wait', { offline: 'reject' }, [lost], ['a#1', 'a: UNKNOWN']],
    [
      'is unknown when the client is closed',
      {},
      [lost, { type: 'ended', error: { code: 'CLOSED', message: '', retryable: false } }],
      ['a#1', 'a: UNKNOWN'],
    ],
  ] as [string, Partial<OutboxEntry>, (OutboxEvent | [number, OutboxEvent])[], string[]][])(
    '%s',
    (_, change, events, expected) => {
      expect(run(opened, add('a', change), ...events).log).toEqual(expected);
    },
  );

  it('keeps the order of the lane: what was in flight comes first', () => {
    expect(run(opened, add('a'), add('b'), lost, add('c'), back(1)).log).toEqual(['a#1', 'a#2']);
  });

  it('does not trust a clock that was set back', () => {
    expect(run([5_000, opened], [5_000, add('a')], [5_000, lost], back(4_000)).log).toEqual(['a#1', 'a: UNKNOWN']);
  });
});

describe('when nothing can be sent', () => {
  it.each([
    ['waits', 'queue', []],
    ['is refused', 'reject', ['a: UNAVAILABLE']],
    ['is dropped', 'drop', ['a: DROPPED']],
  ] as const)('%s with the policy %s', (_, offline, expected) => {
    expect(run(add('a', { offline })).log).toEqual(expected);
  });

  it('drops what cannot be sent at once also while it is connected', () => {
    expect(run(opened, add('a', { offline: 'drop' }), add('b', { offline: 'drop' })).log).toEqual([
      'a#1',
      'b: DROPPED',
    ]);
  });

  it('is full at its count and its bytes', () => {
    expect(run(add('a'), add('b'), add('c'), add('d'), add('e')).log).toEqual(['e: LIMIT_EXCEEDED']);
    expect(run(add('a', { bytes: 999_999 }), add('b')).log).toEqual(['b: LIMIT_EXCEEDED']);
  });

  it('does not send what the server would end the connection for', () => {
    expect(run(opened, add('a', { bytes: 10_000 }), add('b')).log).toEqual(['a: LIMIT_EXCEEDED', 'b#1']);
  });

  it.each([
    ['never sent', [], 'UNAVAILABLE'],
    ['sent, and the answer may come', [opened], 'TIMEOUT'],
    ['sent on a connection that is gone', [opened, { type: 'lost' } as const], 'UNKNOWN'],
  ])('at its deadline, %s, ends with its code', (_, history, code) => {
    const late = run(add('a', { deadlineAt: 50 }), ...history, [50, { type: 'tick' }]);
    expect(late.log.at(-1)).toBe(`a: ${code}`);
  });
});

describe('when the server says that it was too fast', () => {
  const limited = { code: 'RATE_LIMITED', message: '', retryable: true, retryAfterMs: 500 };
  const answered: OutboxEvent = { type: 'answered', id: 'a', error: limited };

  it('waits as long as the server says, and holds back the lane', () => {
    const { log, wakeAt } = run(opened, add('a'), add('b'), answered);
    expect([log, wakeAt]).toEqual([['a#1'], 500]);
    expect(run(opened, add('a'), answered, [500, { type: 'tick' }]).log).toEqual(['a#1', 'a#1']);
  });

  it('counts the window from the first try of which nobody knows what became', () => {
    const lost = [
      opened,
      add('a', { isIdempotent: true, deadlineAt: 1e9 }),
      { type: 'lost' } as const,
      opened,
    ] as const;
    const late = run(...lost, answered, { type: 'lost' }, [240_001, opened]);
    expect(late.log).toEqual(['a#1', 'a#2', 'a: UNKNOWN']);
    const refused = run(opened, add('a', { isIdempotent: true, deadlineAt: 1e9 }), answered, { type: 'lost' }, [
      240_001,
      opened,
    ]);
    expect(refused.log).toEqual(['a#1', 'a#1']);
  });

  it('tells the caller who did not want to wait', () => {
    expect(run(opened, add('a', { offline: 'reject' }), answered).log).toEqual(['a#1', 'a: RATE_LIMITED']);
  });
});

describe('when a room that is being joined again refuses', () => {
  const error = { code: 'FORBIDDEN', message: '', retryable: false };

  it('tries again a little later, and goes by the answer once the room has given its own', () => {
    const early: OutboxEvent = { type: 'answered', id: 'a', error, isEarly: true };
    const { log, wakeAt } = run(opened, add('a'), early);
    expect([log, wakeAt]).toEqual([['a#1'], 500]);
    const again = run(opened, add('a'), early, [500, { type: 'tick' }], { type: 'answered', id: 'a', error });
    expect(again.log).toEqual(['a#1', 'a#1', 'a: FORBIDDEN']);
  });

  it('believes a refusal of anything else', () => {
    const other: OutboxEvent = { type: 'answered', id: 'a', error: { ...error, code: 'CONFLICT' }, isEarly: true };
    expect(run(opened, add('a'), other).log).toEqual(['a#1', 'a: CONFLICT']);
  });
});

describe('when another user signs in', () => {
  const isAda: OutboxEvent = { type: 'identified', principal: 'ada' };
  const isBob: OutboxEvent = { type: 'identified', principal: 'bob' };

  it('sends nothing of the first one', () => {
    expect(run(isAda, add('a'), isBob, opened).log).toEqual(['a: OTHER_PRINCIPAL']);
    expect(run(isAda, opened, add('a'), { type: 'lost' }, isBob, opened).log).toEqual(['a#1', 'a: UNKNOWN']);
  });

  it('takes what was written before anybody was known for the first one who is', () => {
    expect(run(add('a'), isAda, opened).log).toEqual(['a#1']);
  });

  it('leaves what was stored for its owner, and sends it when they are back', () => {
    const stored = entry('a', { isRestored: true, principal: 'ada' });
    const restore: OutboxEvent = { type: 'restore', entries: [stored] };
    expect(run(restore, isBob, opened, add('b')).log).toEqual(['b#1']);
    expect(run(restore, isBob, opened, { type: 'lost' }, isAda, opened).log).toEqual(['a#1']);
  });
});
