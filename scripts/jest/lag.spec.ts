import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../test/support/eventually.js';
import { closingLag, during, insertNote, lagNote, parseGaps, parsePressure, type Gap } from './lag-log.mjs';

const here = import.meta.dirname;
const gap = (of: Partial<Gap>): Gap => ({ at: 2_000, pid: 1, role: 'jest worker', lateMs: 300, cpuMs: 10, ...of });

describe('when gaps are read', () => {
  it('leaves out what a killed process did not finish', () => {
    expect(parseGaps(`${JSON.stringify(gap({}))}\n{"at":3\nnull\n`)).toEqual([gap({})]);
  });

  it('takes the ones that overlap a time', () => {
    const gaps = [gap({ at: 1_000 }), gap({ at: 1_001 }), gap({ at: 2_299 }), gap({ at: 2_300 })];
    expect(during(gaps, 1_000, 2_000)).toEqual([gap({ at: 1_001 }), gap({ at: 2_299 })]);
  });

  it('takes the pressure of the kernel in milliseconds', () => {
    expect(parsePressure('some avg10=1.00 total=3400000\nfull avg10=0.00 total=7\n')).toBe(3_400);
    expect(parsePressure('')).toBeUndefined();
  });
});

describe('when a test failed', () => {
  const about = { from: 1_000, to: 2_000, pid: 1 };

  it('names the greatest gap of each process, its own first, and the pressure', () => {
    const gaps = [
      gap({ lateMs: 300 }),
      gap({ lateMs: 1_240, cpuMs: 60 }),
      gap({ pid: 4711, role: 'node-1', lateMs: 900, cpuMs: 880 }),
      gap({ pid: 12, role: 'node-2', lateMs: 12_345, cpuMs: 0 }),
    ];
    expect(lagNote({ ...about, gaps, pressureMs: 3_400.4 })).toBe(
      'lag while it ran: this process 1 240 ms (no CPU for 1 180 ms), node-2 12 12 345 ms (no CPU for 12 345 ms), ' +
        'node-1 4711 900 ms (blocked); /proc/pressure/cpu: some 3 400 ms',
    );
  });

  it('says that nothing stood still', () => {
    expect(lagNote({ ...about, gaps: [gap({ at: 900 })] })).toBe('lag while it ran: no gap of 200 ms or more');
  });

  it('counts the processes that it does not name', () => {
    const gaps = [1, 2, 3, 4, 5, 6, 7].map((pid) => gap({ pid }));
    expect(lagNote({ ...about, gaps })).toMatch(/, 2 more processes with less$/);
  });

  it('puts the line between the message and the frames', () => {
    expect(insertNote('Error: a\nb\n    at f (x.ts:1:1)\n    at g (y.ts:2:2)', 'lag')).toBe(
      'Error: a\nb\n\nlag\n    at f (x.ts:1:1)\n    at g (y.ts:2:2)',
    );
    expect(insertNote('Error: a', 'lag')).toBe('Error: a\n\nlag');
  });
});

describe('when a run ends', () => {
  it('says the greatest lag and how many gaps there were', () => {
    expect(closingLag([gap({}), gap({ lateMs: 1_240, cpuMs: 60, at: 0, pid: 9 })])).toBe(
      'greatest lag: 1 240 ms in jest worker 9 at 1970-01-01T00:00:00.000Z (no CPU for 1 180 ms), 2 gaps of 200 ms or more',
    );
    expect(closingLag([gap({ at: 0 }), gap({ at: 0, lateMs: 900, cpuMs: 880 })])).toBe(
      'greatest lag: 900 ms in jest worker 1 at 1970-01-01T00:00:00.000Z (blocked), then 300 ms in jest worker 1 at ' +
        '1970-01-01T00:00:00.000Z (no CPU for 290 ms), 2 gaps of 200 ms or more',
    );
    expect(closingLag([])).toBe('greatest lag: no gap of 200 ms or more');
  });
});

describe('in real processes', () => {
  let folder: string;
  let log: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lag-witness-'));
    log = join(folder, 'lag.jsonl');
    writeFileSync(log, '');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const gaps = (): Gap[] => parseGaps(readFileSync(log, 'utf8'));
  const environment = (): NodeJS.ProcessEnv => {
    const { NODE_OPTIONS: _, JEST_WORKER_ID: __, ...env } = process.env;
    return { ...env, REALTIME_LAG_LOG: log };
  };

  /** What Jest prints about one file of tests. */
  function jest(tests: string): Promise<string> {
    writeFileSync(join(folder, 'a.test.js'), tests);
    const config = {
      rootDir: folder,
      testEnvironment: join(here, 'environment.mjs'),
      reporters: ['default', join(here, 'lag-reporter.mjs')],
    };
    const program = join(here, '../../node_modules/jest/bin/jest.js');
    const args = [program, '--config', JSON.stringify(config), '--no-cache'];
    return new Promise((resolve) =>
      execFile(process.execPath, args, { cwd: folder, env: environment() }, (_, out, err) => resolve(`${out}${err}`)),
    );
  }

  it('tells a failure that its process blocked, and the end of the run', async () => {
    const output = await jest(`
      const cpuMs = () => process.cpuUsage().user / 1000;
      const block = () => { const end = cpuMs() + 300; while (cpuMs() < end); };
      test('blocks', () => { block(); throw new Error('late'); });
      test('throws a string', async () => { block(); throw 'a string'; });
      test('passes', () => undefined);
      describe('with a broken hook', () => {
        beforeAll(() => { block(); throw new Error('broken'); });
        test('one', () => undefined);
        test('two', () => undefined);
      });
    `);
    expect(output).toMatch(/late\n\s+lag while it ran: this process [\d ]+ ms \(/);
    expect(output).toMatch(/thrown: "a string"\n\s+lag while it ran: this process [\d ]+ ms \(/);
    expect(output).toMatch(/broken\n\s+lag while it ran: this process [\d ]+ ms \(/);
    expect(output).toContain('4 failed, 1 passed');
    expect(output).toMatch(/^greatest lag: .* gaps of 200 ms or more$/m);
    expect(gaps().filter(({ cpuMs }) => cpuMs >= 300).length).toBeGreaterThanOrEqual(3);
  });

  it('tells a process that was stopped from one that blocked', async () => {
    const script =
      "setInterval(() => undefined, 1000); process.on('message', () => process.exit()); process.send('up');";
    const args = ['--import', join(here, 'lag-witness.mjs'), '-e', script];
    const child = spawn(process.execPath, args, { env: environment(), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    try {
      await once(child, 'message');
      child.kill('SIGSTOP');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
      child.kill('SIGCONT');
      // On a busy machine it may have blocked at its start, too: that gap has a CPU time of about its own length.
      const withoutCpuMs = (): number[] => gaps().map(({ lateMs, cpuMs }) => lateMs - cpuMs);
      await eventually(() => expect(Math.max(...withoutCpuMs())).toBeGreaterThanOrEqual(500));
    } finally {
      child.kill('SIGKILL');
    }
    const stopped = gaps().find(({ lateMs, cpuMs }) => lateMs - cpuMs >= 500);
    expect(stopped).toMatchObject({ pid: child.pid, role: 'node' });
  });
});
