import { follow, openingState, type ContinuityEvent, type ContinuityState, type Numbered } from './continuity.js';
import type { LogState } from './room-log.js';

const message = (offset: number, epoch = 'a', text = `${epoch}${offset}`): Numbered => ({
  position: { epoch, offset },
  text,
});
const log = (offset: number, more: Partial<LogState> = {}): LogState => ({
  ...{ epoch: 'a', offset, start: 0, forks: {} },
  ...more,
});
const heard = (offset: number, epoch = 'a'): ContinuityEvent<Numbered> => ({
  type: 'message',
  message: message(offset, epoch),
});
const read = (
  after: number,
  state: LogState,
  offsets: readonly number[],
  hasMore = false,
): ContinuityEvent<Numbered> => ({
  ...{ type: 'read', after, log: state, hasMore },
  messages: offsets.map((offset) => message(offset, state.epoch)),
});

/** What members are told, in one line each, and what is read. */
function run(events: readonly ContinuityEvent<Numbered>[], from: LogState = log(5)) {
  let state: ContinuityState<Numbered> = follow(openingState<Numbered>(), { type: 'state', log: from }).state;
  const story: string[] = [];
  for (const event of events) {
    const step = follow(state, event);
    state = step.state;
    for (const effect of step.effects) {
      if (effect.type === 'deliver') story.push(...effect.messages.map(({ text }) => text));
      else if (effect.type === 'gap')
        story.push(`gap ${effect.code} ${effect.position.epoch}${effect.position.offset}`);
      else if (effect.type === 'read')
        story.push(`read ${effect.after}${effect.attempt > 0 ? ` try ${effect.attempt}` : ''}`);
      else if (effect.type === 'drop') story.push(`drop ${effect.count}`);
      else story.push(effect.type);
    }
  }
  return { state, story };
}

describe('what the members of a room are told', () => {
  it.each<[string, ContinuityEvent<Numbered>[], string[]]>([
    ['the next one', [heard(6), heard(7)], ['a6', 'a7']],
    ['nothing of what is old', [heard(5), heard(3), heard(6), heard(6)], ['a6']],
    [
      'what is missing first',
      [heard(8), heard(9), read(5, log(8), [6, 7, 8])],
      ['read 5', 'a6', 'a7', 'a8', 'a9', 'repaired'],
    ],
    [
      'all pages of it',
      [heard(9), read(5, log(9), [6, 7], true), read(7, log(9), [8, 9])],
      ['read 5', 'a6', 'a7', 'read 7', 'a8', 'a9', 'repaired'],
    ],
    [
      'what waited in its order',
      [heard(8), heard(10), heard(9), read(5, log(7), [6, 7])],
      ['read 5', 'a6', 'a7', 'a8', 'a9', 'a10', 'repaired'],
    ],
    [
      'holes of erased ones as none',
      [heard(8), read(5, log(8), [6, 8]), heard(9)],
      ['read 5', 'a6', 'a8', 'repaired', 'a9'],
    ],
    ['an erased top as none', [heard(8), read(5, log(8), [6]), heard(9)], ['read 5', 'a6', 'repaired', 'a9']],
    [
      'nothing before a failed read has been repeated',
      [heard(7), { type: 'failed' }, heard(8), { type: 'failed' }, read(5, log(8), [6, 7, 8])],
      ['read 5', 'read 5 try 1', 'read 5 try 2', 'a6', 'a7', 'a8', 'repaired'],
    ],
    [
      'a gap where the log has forgotten',
      [heard(20), read(5, log(20, { start: 18 }), [19, 20])],
      ['read 5', 'gap NOT_FOUND a18', 'a19', 'a20', 'repaired'],
    ],
    [
      'nothing when another server goes on where this one stopped',
      [heard(6, 'b'), read(5, log(6, { epoch: 'b', forks: { a: 5 } }), [6]), heard(7, 'b')],
      ['read 5', 'b6', 'repaired', 'b7'],
    ],
    [
      'nothing of an ended epoch',
      [{ type: 'state', log: log(5, { epoch: 'b', forks: { a: 5 } }) }, heard(6, 'a'), heard(6, 'b')],
      ['b6'],
    ],
    [
      'a gap when another server has lost what was delivered, and all that it has since',
      [
        heard(6, 'b'),
        read(5, log(6, { epoch: 'b', forks: { a: 3 } }), [6]),
        read(3, log(6, { epoch: 'b', forks: { a: 3 } }), [4, 5, 6]),
      ],
      ['read 5', 'gap UNKNOWN b3', 'read 3', 'b4', 'b5', 'b6', 'repaired'],
    ],
    [
      'a gap and everything when the log was lost',
      [heard(1, 'z'), read(5, log(2, { epoch: 'z' }), []), read(0, log(2, { epoch: 'z' }), [1, 2])],
      ['read 5', 'gap UNKNOWN z0', 'read 0', 'z1', 'z2', 'repaired'],
    ],
    [
      'a gap and nothing old when so many epochs have ended that ours is forgotten',
      [
        heard(9, 'z'),
        read(5, log(9, { epoch: 'z', forks: Object.fromEntries([...'ijklmnop'].map((e, i) => [e, i])) }), [6, 7, 8, 9]),
        heard(10, 'z'),
      ],
      ['read 5', 'gap UNKNOWN z9', 'z10'],
    ],
  ])('is %s', (_name, events, story) => {
    expect(run(events).story).toEqual(story);
  });

  it('begins with the first thing heard where nobody has asked the log', () => {
    const { state, effects } = follow(openingState<Numbered>(), heard(7));
    expect(effects).toEqual([{ type: 'deliver', messages: [message(7)] }]);
    expect(state).toMatchObject({ phase: 'live', position: { epoch: 'a', offset: 7 }, forks: undefined });
  });
});

describe('when it is known how far the log is', () => {
  it.each<[string, LogState, string[]]>([
    ['reads what did not arrive', log(7), ['read 5']],
    ['does nothing where nothing is missing', log(5), []],
    ['does nothing for what is older than what arrived', log(4), []],
    ['goes on in another epoch without a read', log(5, { epoch: 'b', forks: { a: 5 } }), []],
    ['reads in another epoch that has more', log(6, { epoch: 'b', forks: { a: 5 } }), ['read 5']],
    ['reads in another epoch that has less', log(4, { epoch: 'b', forks: { a: 4 } }), ['read 5']],
  ])('%s', (_name, state, story) => {
    expect(run([{ type: 'state', log: state }]).story).toEqual(story);
  });

  it('reads once more when the read under way may be older', () => {
    const events = [heard(7), { type: 'resync' } as const, read(5, log(7), [6, 7]), read(7, log(8), [8])];
    expect(run(events).story).toEqual(['read 5', 'a6', 'a7', 'read 7', 'a8', 'repaired']);
  });
});

describe('when things are not as they should be', () => {
  it('does not believe a server that has been replaced', () => {
    const from = log(5, { epoch: 'b', forks: { a: 3 } });
    const { story, state } = run([{ type: 'resync' }, read(5, log(4), []), { type: 'state', log: log(4) }], from);
    expect(story).toEqual(['read 5', 'read 5 try 1']);
    expect(state.position).toEqual({ epoch: 'b', offset: 5 });
  });

  it('asks with pauses for an epoch that the log does not know, and then believes the log', () => {
    const answers = Array.from({ length: 6 }, () => read(5, log(5), []));
    const { story, state } = run([heard(6, 'x'), ...answers, heard(6)]);
    expect(story).toEqual(['read 5', ...[1, 2, 3, 4, 5].map((n) => `read 5 try ${n}`), 'drop 1', 'a6']);
    expect(state).toMatchObject({ phase: 'live', waiting: [] });
  });

  it('keeps a bounded part of what comes meanwhile, and reads the rest', () => {
    const flood = Array.from({ length: 1_002 }, (_, index) => heard(7 + index));
    const { state, story } = run(flood);
    expect(story).toEqual(['read 5']);
    expect(state.waiting.length).toBeLessThan(1_001);
    expect(state.isStale).toBe(true);
    const large: ContinuityEvent<Numbered> = { type: 'message', message: message(7, 'a', 'x'.repeat(700_000)) };
    const more: ContinuityEvent<Numbered> = { type: 'message', message: message(8, 'a', 'x'.repeat(700_000)) };
    expect(run([large, more]).state).toMatchObject({ waiting: [], waitingBytes: 0, isStale: true });
  });

  it('says nothing any more once it is closed', () => {
    expect(run([heard(7), { type: 'close' }, read(5, log(7), [6, 7]), heard(8), { type: 'resync' }]).story).toEqual([
      'read 5',
    ]);
  });
});
