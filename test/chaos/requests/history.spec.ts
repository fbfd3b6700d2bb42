import {
  violations,
  type HandlerRun,
  type HeardPublication,
  type History,
  type NodeKill,
  type NodeLoss,
  type SentRequest,
} from './history.js';

const id = (n: number): string => `id-${n}`;
const sent = (n: number, ends: SentRequest['ends'] = [answered(n)]): SentRequest => ({
  ...{ id: id(n), lane: 'a', n, ends },
  tries: [{ at: n * 10, node: 'node-1' }],
});
const answered = (n: number) => ({ at: n * 10 + 5, answer: { id: id(n), n, publication: `p-${n}` } });
const ran = (n: number, attempt = 1): HandlerRun => ({ id: id(n), attempt, lane: 'a', n });
const heard = (n: number): HeardPublication => ({ request: id(n), publication: `p-${n}`, lane: 'a', n });
/** While request 2 was in flight. */
const kill: NodeKill = { point: 'effect', node: 'node-1', from: 21, until: 24 };

const GOOD: History = {
  asked: ['a 1', 'a 2', 'a 3'],
  sent: [sent(1), sent(2), sent(3)],
  runs: [ran(1), ran(2), ran(2, 2), ran(3)],
  heard: [heard(1), heard(2), heard(3)],
  kills: [kill],
  lapses: [],
};
/** While request 3 was in flight. */
const lapse: NodeLoss = { node: 'node-1', from: 31, until: 34 };
const without = (n: number): SentRequest[] => GOOD.sent.filter((one) => one.n !== n);

describe('when a history is judged', () => {
  it('finds nothing in one that keeps every promise', () => {
    expect(violations(GOOD)).toEqual([]);
  });

  it('lets a request that was refused with a code run or not', () => {
    const refused = sent(3, [{ at: 35, code: 'UNAVAILABLE' }]);
    const unheard = { runs: GOOD.runs.slice(0, -1), heard: GOOD.heard.slice(0, -1) };
    expect(violations({ ...GOOD, sent: [...without(3), refused] })).toEqual([]);
    expect(violations({ ...GOOD, ...unheard, sent: [...without(3), refused] })).toEqual([]);
  });

  it('lets a node that died after the claim leave no first run', () => {
    expect(violations({ ...GOOD, runs: [ran(1), ran(2, 2), ran(3)] })).toEqual([]);
  });

  it('lets a request run again whose node lost its lease and lives, in whatever order', () => {
    for (const again of [[ran(3, 2)], [ran(3), ran(3, 2)], [ran(3, 2), ran(3)]]) {
      const runs = [ran(1), ran(2), ran(2, 2), ...again];
      expect(violations({ ...GOOD, runs, lapses: [lapse] })).toEqual([]);
    }
    expect(violations({ ...GOOD, runs: [ran(1), ran(3), ran(2), ran(2, 2), ran(3, 2)], lapses: [lapse] })).toEqual([]);
  });

  it.each<[string, Partial<History>, string[]]>([
    [
      'a second run of what had ended before its node lost its lease',
      { runs: [ran(1), ran(1, 2), ran(2), ran(3)], lapses: [lapse] },
      ['a 1 ran as [1,2], allowed: [1]'],
    ],
    [
      'the same attempt twice, though its node lost its lease',
      { runs: [...GOOD.runs, ran(3)], lapses: [lapse] },
      ['a 3 ran as [1,1], allowed: [1] [2] [1,2]'],
    ],
    ['a request without an end', { sent: [...without(3), sent(3, [])] }, ['a 3 was settled 0 times']],
    ['a request that nobody knows of any more', { asked: [...GOOD.asked, 'a 4'] }, ['a 4 was settled 0 times']],
    ['two ends', { sent: [...without(3), sent(3, [answered(3), answered(3)])] }, ['a 3 was settled 2 times']],
    ['an UNKNOWN', { sent: [...without(3), sent(3, [{ at: 35, code: 'UNKNOWN' }])] }, ['a 3 ended as UNKNOWN']],
    [
      "another's answer",
      { sent: [...without(3), sent(3, [{ ...answered(2), at: 35 }])] },
      ["a 3 got another's answer", 'a 3 was published as another'],
    ],
    ['an answer without a run', { runs: GOOD.runs.slice(0, -1) }, ['a 3 ran as [], allowed: [1]']],
    ['a second run without a kill', { kills: [] }, ['a 2 ran as [1,2], allowed: [1]']],
    [
      'a second run after the kill of another node',
      { kills: [{ ...kill, node: 'node-2' }] },
      ['a 2 ran as [1,2], allowed: [1]'],
    ],
    [
      'a second run of what had ended before the kill',
      { runs: [ran(1), ran(1, 2), ran(2), ran(3)] },
      ['a 1 ran as [1,2], allowed: [1]'],
    ],
    [
      'a second run as attempt 1',
      { runs: [ran(1), ran(2), ran(2), ran(3)] },
      ['a 2 ran as [1,1], allowed: [1] [2] [1,2]'],
    ],
    [
      'a third run',
      { runs: [ran(1), ran(2), ran(2, 2), ran(2, 3), ran(3)] },
      ['a 2 ran as [1,2,3], allowed: [1] [2] [1,2]'],
    ],
    ['a run of nobody', { runs: [...GOOD.runs, ran(4)] }, ['id-4 ran, and nobody sent it']],
    ['a lost publication', { heard: [heard(1), heard(3)] }, ['a 2 was published 0 times']],
    [
      'a doubled publication',
      { heard: [heard(1), heard(2), heard(2), heard(3)] },
      ['a 2 was published 2 times', 'a published 2 after 2'],
    ],
    ['publications in another order', { heard: [heard(2), heard(1), heard(3)] }, ['a published 1 after 2']],
    ['runs in another order', { runs: [ran(1), ran(2), ran(3), ran(2, 2)] }, ['a ran 2 after 3']],
  ])('finds %s', (_, fault, found) => {
    expect(violations({ ...GOOD, ...fault })).toEqual(found);
  });
});
