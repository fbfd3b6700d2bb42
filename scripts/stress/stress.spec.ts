import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { batches, lacking, parseArguments, report, runsThatCount, type Pair, type Run } from './plan.mjs';
import { appendRun, readRuns, runOf, type FileResult } from './runs.mjs';

const a12 = { project: 'nest12', file: 'a.spec.ts' };
const a11 = { project: 'nest11', file: 'a.spec.ts' };
const b12 = { project: 'nest12', file: 'b.spec.ts' };
const b11 = { project: 'nest11', file: 'b.spec.ts' };
const unit = { project: 'unit', file: 'u.spec.ts' };
const run = (pair: Pair, of: Partial<Run> = {}): Run => ({
  ...pair,
  commit: 'c1',
  load: true,
  passed: 2,
  failed: [],
  ms: 10,
  greatestLagMs: 0,
  at: '2026-01-01T00:00:00.000Z',
  ...of,
});

describe('when it is called', () => {
  it.each([
    [[], { times: 10, load: false, report: false, patterns: [] }],
    [['--load', '--times', '3', 'test/redis'], { times: 3, load: true, report: false, patterns: ['test/redis'] }],
    [['--report', '--times=4', '--', '--x', 'y'], { times: 4, load: false, report: true, patterns: ['--x', 'y'] }],
  ])('reads %j', (args, settings) => {
    expect(parseArguments(args)).toEqual(settings);
  });

  it.each([[['--tmes', '3']], [['--times', 'x']], [['--times']], [['--times', '0']]])('refuses %j', (args) => {
    expect(() => parseArguments(args)).toThrow('usage: npm run test:stress');
  });
});

describe('when a round is planned', () => {
  it('counts runs at this commit, and only those under load when load is asked for', () => {
    const runs = [run(a12), run(a12, { load: false }), run(a12, { commit: 'c1-dirty' })];
    expect(runsThatCount(runs, { commit: 'c1', load: true })).toEqual([runs[0]]);
    expect(runsThatCount(runs, { commit: 'c1', load: false })).toEqual([runs[0], runs[1]]);
  });

  it('takes what has too few runs in its own project', () => {
    expect(lacking([a12, a11, unit], [run(a12), run(a12), run(a11), run(unit), run(unit)], 2)).toEqual([a11]);
  });

  it('starts Jest once when all lack runs', () => {
    const pairs = [unit, a12, b12, a11];
    expect(batches(pairs, pairs)).toEqual([
      { projects: ['unit', 'nest12', 'nest11'], files: ['u.spec.ts', 'a.spec.ts', 'b.spec.ts'] },
    ]);
  });

  it('never runs a file in a project in which it has its runs', () => {
    expect(batches([a12, a11, b12, b11, unit], [a12, b11, unit])).toEqual([
      { projects: ['nest12', 'unit'], files: ['a.spec.ts', 'u.spec.ts'] },
      { projects: ['nest11'], files: ['b.spec.ts'] },
    ]);
  });
});

describe('when runs are reported', () => {
  it('prints the files, the failures by test with counts, and a closing line', () => {
    const failed = [{ name: 'does it', message: 'it did not' }];
    const runs = [run(b12), run(a12, { greatestLagMs: 1_240, failed }), run(a12, { failed }), run(a12)];
    expect(report(runs).split('\n')).toEqual([
      'file              runs  failed runs  greatest lag',
      'nest12 a.spec.ts     3            2       1240 ms',
      'nest12 b.spec.ts     1            0          0 ms',
      '2 × nest12 a.spec.ts: does it',
      '    it did not',
      '4 runs, 2 failed',
    ]);
  });
});

describe('when a file has run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stress-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const about = { root: '/r', project: 'unit', commit: 'c1', load: true, at: 0 };
  const gap = { at: 1_500, pid: 1, role: 'jest worker', lateMs: 300, cpuMs: 1 };
  const gaps = [gap, { ...gap, lateMs: 250 }, { ...gap, at: 9_000, lateMs: 900 }];
  const result: FileResult = {
    testFilePath: '/r/u.spec.ts',
    perfStats: { start: 1_000, end: 2_000 },
    numPassingTests: 1,
    testResults: [
      { status: 'passed', fullName: 'passes', failureMessages: [] },
      { status: 'failed', fullName: 'fails', failureMessages: ['\n \u001b[2mError: first\u001b[22m\nsecond'] },
    ],
  };

  it('is written down with its failures and the greatest lag of its time', () => {
    const written = runOf({ ...about, result, gaps });
    expect(written).toEqual({
      ...run(unit, { passed: 1, ms: 1_000, greatestLagMs: 300, at: '1970-01-01T00:00:00.000Z' }),
      failed: [{ name: 'fails', message: 'Error: first' }],
    });
    const path = join(folder, 'deep/runs.jsonl');
    expect(readRuns(path)).toEqual([]);
    appendRun(path, written);
    appendRun(path, written);
    expect(readRuns(path)).toEqual([written, written]);
  });

  it('counts as failed when it could not be loaded', () => {
    const broken = { ...result, numPassingTests: 0, testResults: [], testExecError: { message: 'no such module' } };
    expect(runOf({ ...about, result: broken, gaps: [] }).failed).toEqual([
      { name: '(the file)', message: 'no such module' },
    ]);
  });
});
