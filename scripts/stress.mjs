// `npm run test:stress -- [--times N] [--load] [--report] [--] [pattern …]`: runs the matching files until each has N runs
// at this commit. Runs are appended to test-artefacts/stress.jsonl, so it can be stopped and started again at any time.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import config from '../jest.config.mjs';
import { startLoad } from './stress/load.mjs';
import { batches, lacking, parseArguments, report, runsThatCount } from './stress/plan.mjs';
import { readRuns } from './stress/runs.mjs';
import { WORKERS, jest, jestEnvironment, root, setUp } from './test-set-up.mjs';

const RUNS = join(root, 'test-artefacts/stress.jsonl');
const ENDS_WITHIN_MS = 5_000;

const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
const commitOf = () => `${git('rev-parse', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '-dirty'}`;

/** Each file in each project that runs it. */
function matching(patterns) {
  return config.projects.flatMap(({ displayName: project }) => {
    const args = ['--listTests', '--json', '--selectProjects', project];
    if (patterns.length > 0) args.push('--testPathPatterns', ...patterns);
    const options = {
      cwd: root,
      encoding: 'utf8',
      env: jestEnvironment(process.env),
      stdio: ['ignore', 'pipe', 'ignore'],
    };
    const paths = JSON.parse(execFileSync(process.execPath, jest(...args), options));
    return paths.map((path) => ({ project, file: relative(root, path) }));
  });
}

/** A process group of its own, so that what the tests start ends with Jest. */
class JestRun {
  constructor({ projects, files }, env) {
    const reporters = ['default', ...['lag', 'stress'].map((name) => join(root, `scripts/jest/${name}-reporter.mjs`))];
    const args = [`--maxWorkers=${WORKERS}`, ...reporters.map((path) => `--reporters=${path}`)];
    args.push('--selectProjects', ...projects, '--runTestsByPath', ...files);
    this.child = spawn(process.execPath, jest(...args), {
      cwd: root,
      env,
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    this.ended = once(this.child, 'exit');
  }

  signal(name) {
    try {
      process.kill(-this.child.pid, name);
      return true;
    } catch {
      return false;
    }
  }

  async stop() {
    this.signal('SIGINT');
    const endsAt = performance.now() + ENDS_WITHIN_MS;
    while (this.signal(0) && performance.now() < endsAt) await new Promise((resolve) => setTimeout(resolve, 50));
    this.signal('SIGKILL');
  }
}

let running;
let isStopped = false;

async function runAll(pairs, { times, load }, commit) {
  const env = setUp();
  const scratch = mkdtempSync(join(tmpdir(), 'nestjs-realtime-stress-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const endLoad = load ? startLoad() : () => undefined;
  try {
    for (let round = 1; !isStopped; round += 1) {
      const left = lacking(pairs, runsThatCount(readRuns(RUNS), { commit, load }), times);
      if (left.length === 0) return;
      console.error(`\nround ${round}: ${left.length} of ${pairs.length} files have fewer than ${times} runs`);
      for (const batch of batches(pairs, left)) {
        if (commitOf() !== commit) throw new Error('The working tree is no longer what was built: start again.');
        const lagLog = join(scratch, 'lag.jsonl');
        writeFileSync(lagLog, '');
        const before = readRuns(RUNS).length;
        const stress = JSON.stringify({ commit, load, path: RUNS });
        running = new JestRun(batch, { ...env, REALTIME_LAG_LOG: lagLog, REALTIME_STRESS: stress });
        await running.ended;
        running = undefined;
        if (isStopped) return;
        // Jest that cannot even start would be started for ever.
        if (readRuns(RUNS).length === before) throw new Error('Jest ended and reported no file.');
      }
    }
  } finally {
    endLoad();
  }
}

async function stop() {
  isStopped = true;
  await running?.stop();
}

async function main() {
  const settings = parseArguments(process.argv.slice(2));
  const commit = commitOf();
  const pairs = matching(settings.patterns);
  if (pairs.length === 0) throw new Error(`No file matches ${settings.patterns.join(' ')}.`);
  if (!settings.report) await runAll(pairs, settings, commit);
  const isAsked = ({ project, file }) => pairs.some((pair) => pair.project === project && pair.file === file);
  const runs = runsThatCount(readRuns(RUNS), { commit, load: settings.load }).filter(isAsked);
  console.log(report(runs));
  process.exitCode = isStopped ? 130 : runs.some(({ failed }) => failed.length > 0) ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void stop());
await main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
