import { describeRoom, violations, type HeardEvent, type RoomHistory, type SentPublication } from './room-history.js';

const at = (offset: number, epoch = 'now') => ({ epoch, offset });
const name = (offset: number): string => `p-${offset}`;
const entry = (offset: number) => ({ offset, name: name(offset), at: offset * 100 });
const sent = (n: number, outcome?: SentPublication['outcome']): SentPublication => ({
  ...{ name: name(n), publisher: 'node-1', n },
  outcome: outcome ?? { status: 'acknowledged', position: n <= 2 ? at(n, 'before') : at(n) },
});
const message = (offset: number): HeardEvent => ({ kind: 'message', position: at(offset), name: name(offset) });
const recovered = (from: number, to: number, offsets: readonly number[]): HeardEvent => ({
  ...{ kind: 'recovered', from: at(from), position: at(to) },
  publications: offsets.map(entry),
});
const told = (from: number, to: number, { epoch = 'now', when = 800 } = {}): HeardEvent => ({
  ...{ kind: 'told', how: 'join', from: at(from, epoch), position: at(to), at: when },
});
const takenBack: HeardEvent = { kind: 'message', position: at(3, 'before'), name: 'p-lost' };
const joined: HeardEvent = { kind: 'joined', position: at(1, 'before') };

const LIVE: readonly HeardEvent[] = [joined, ...[2, 3, 4, 5, 6, 7, 8].map(message)];
const AWAY: readonly HeardEvent[] = [
  joined,
  message(2),
  recovered(2, 5, [3, 4, 5]),
  message(6),
  message(7),
  message(8),
];
const GOOD: RoomHistory = {
  ...{ room: 'exact/1', recoverable: 3 },
  log: { ...at(8), forks: { before: 2 }, entries: [1, 2, 3, 4, 5, 6, 7, 8].map(entry) },
  sent: [...[1, 2, 3, 4, 5, 6, 7].map((n) => sent(n)), sent(8, { status: 'unknown' }), sent(9, { status: 'unknown' })],
  hearings: [
    { member: 'live', events: LIVE },
    { member: 'away', events: AWAY },
  ],
};

/** The member `live` hears this instead, and the member `away` nothing. */
const hears = (...events: readonly HeardEvent[]): Partial<RoomHistory> => ({ hearings: [{ member: 'm', events }] });
const logs = (...entries: RoomHistory['log']['entries']): Partial<RoomHistory> => ({
  ...{ log: { ...GOOD.log, entries }, hearings: [] },
});
const sends = (n: number, outcome: SentPublication['outcome']): Partial<RoomHistory> => ({
  sent: GOOD.sent.map((one) => (one.n === n ? sent(n, outcome) : one)),
});

describe('when the history of a room is judged', () => {
  it('finds nothing in one that keeps every promise', () => {
    expect(violations(GOOD)).toEqual([]);
  });

  it.each<[string, Partial<RoomHistory>]>([
    [
      'a gap of more than the room keeps, told in a reply',
      hears(joined, message(2), told(2, 6), message(7), message(8)),
    ],
    [
      'a gap told to who was ahead of its epoch',
      hears(joined, message(2), told(5, 6, { epoch: 'before' }), message(7), message(8)),
    ],
    [
      'one that a failover took back, when the member was told',
      hears(joined, message(2), takenBack, told(3, 2, { epoch: 'before' }), ...LIVE.slice(2)),
    ],
    ['a member without a word, because it never joined', hears()],
    ['a refused publication that is not there', sends(9, { status: 'refused', code: 'UNAVAILABLE' })],
  ])('allows %s', (_, change) => {
    expect(violations({ ...GOOD, ...change })).toEqual([]);
  });

  it.each<[string, Partial<RoomHistory>, string[]]>([
    [
      'one lost while connected',
      hears(...LIVE.filter((_, index) => index !== 3)),
      ['heardAll: m did not hear p-4 (4)'],
    ],
    ['a lost end', hears(...LIVE.slice(0, -1)), ['heardAll: m did not hear p-8 (8)']],
    ['one heard twice', hears(...LIVE.slice(0, 3), message(3), ...LIVE.slice(3)), ['heardOnce: m heard p-3 twice']],
    [
      'one recovered and heard again',
      hears(joined, message(2), recovered(2, 5, [3, 4, 5]), message(5), message(6), message(7), message(8)),
      ['heardOnce: m heard p-5 twice'],
    ],
    [
      'two in the wrong order',
      hears(...LIVE.slice(0, 3), message(5), message(4), ...LIVE.slice(5)),
      ['heardInOrder: m heard 4 after 5'],
    ],
    [
      'a newer one before what was recovered',
      hears(joined, message(2), message(6), recovered(2, 5, [3, 4, 5]), message(7), message(8)),
      ['heardInOrder: m heard 3 after 6'],
    ],
    [
      'a silent gap',
      hears(joined, message(2), recovered(2, 5, [5]), message(6), message(7), message(8)),
      ['gapsAreTold: m did not hear p-3 (3)', 'gapsAreTold: m did not hear p-4 (4)'],
    ],
    [
      'a gap told without need',
      hears(joined, message(2), told(2, 5, { when: 599 }), message(6), message(7), message(8)),
      ['toldTruly: m was told of a gap (join) from now/2 to now/5, which is kept'],
    ],
    [
      "another's payload at a position",
      hears(...LIVE.slice(0, -1), { kind: 'message', position: at(8), name: 'p-x' }),
      ['heardAsLogged: m heard p-x at 8: there is p-8'],
    ],
    [
      'one that a failover took back, and nobody said so',
      hears(joined, message(2), takenBack, message(3), message(4), message(5), message(6), message(7), message(8)),
      ['heardAsLogged: m heard p-lost at 3: there is p-3'],
    ],
    [
      'an acknowledged one that is not there',
      logs(...[1, 2, 3, 4, 5, 6].map(entry)),
      ['acknowledgedTruly: p-7 was acknowledged at now/7 and is not in the log'],
    ],
    [
      'one at another position than acknowledged',
      sends(7, { status: 'acknowledged', position: at(6) }),
      ['acknowledgedTruly: p-7 was acknowledged at now/6 and is at 7'],
    ],
    [
      'one acknowledged in an epoch that had ended',
      sends(7, { status: 'acknowledged', position: at(7, 'before') }),
      ['acknowledgedTruly: p-7 was acknowledged at before/7, which no epoch of the log has'],
    ],
    [
      'a refused one that is there',
      sends(8, { status: 'refused', code: 'UNAVAILABLE' }),
      ['refusedTruly: p-8 was refused (UNAVAILABLE) and is in the log'],
    ],
    ['a phantom', { sent: GOOD.sent.filter(({ n }) => n !== 8) }, ['sentBySomebody: nobody sent p-8 (8)']],
    [
      'one that is in the log twice',
      logs(...GOOD.log.entries, { ...entry(9), name: name(8) }),
      ['loggedOnce: p-8 is in the log twice'],
    ],
    [
      'a hole in the log',
      logs(...GOOD.log.entries, { ...entry(10), name: name(9) }),
      ['loggedOnce: offset 10 follows 8'],
    ],
    [
      'a publisher whose second overtook its first',
      { sent: GOOD.sent.map((one) => (one.n === 8 ? { ...one, n: 0 } : one)) },
      ['inOrderOfPublisher: p-8 comes after p-7'],
    ],
  ])('finds %s', (_, fault, found) => {
    expect(violations({ ...GOOD, ...fault })).toEqual(found);
  });

  it('tells the story of the one room', () => {
    const story = describeRoom({ ...GOOD, ...hears(...AWAY.slice(0, 3), told(5, 8)) });
    expect(story).toContain('room exact/1, now now/8, forks [before..2]');
    expect(story).toContain('m: joined at before/1; now/2 p-2; recovered now/2 → now/5 [3 p-3, 4 p-4, 5 p-5]; told');
  });
});
