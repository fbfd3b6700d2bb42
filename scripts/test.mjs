// `npm test [-- jest arguments]`: finds what the tests need, builds, runs Jest, and closes with one line of counts.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TOOLS, find, findOrInstall } from './system-tools.mjs';

const root = join(import.meta.dirname, '..');
const env = { ...process.env };

function hasSpecs(folder) {
  const path = join(root, folder);
  return existsSync(path) && readdirSync(path, { recursive: true }).some((name) => String(name).endsWith('.spec.ts'));
}

function provideTools() {
  // With a REDIS_URL the tests can do without a server program; the ones that kill servers say that they were skipped.
  const redis = env.REDIS_URL ? find(TOOLS.redis) : findOrInstall(TOOLS.redis);
  if (redis) env.REDIS_SERVER = redis;
  if (hasSpecs('test/browser')) env.CHROMIUM_PATH = findOrInstall(TOOLS.chromium);
  if (hasSpecs('test/deploy')) env.NGINX_PATH = findOrInstall(TOOLS.nginx);
}

function build() {
  const result = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, env, encoding: 'utf8' });
  if (result.status === 0) return;
  process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  console.error('The build failed, so no test ran.');
  process.exit(result.status ?? 1);
}

function runJest(args, reportPath) {
  const nodeOptions = [env.NODE_OPTIONS, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  return spawnSync(
    process.execPath,
    [join(root, 'node_modules/jest/bin/jest.js'), '--maxWorkers=2', '--json', `--outputFile=${reportPath}`, ...args],
    {
      cwd: root,
      // With `--json` Jest writes the report to stdout too; what people read is on stderr.
      stdio: ['inherit', 'ignore', 'inherit'],
      env: { ...env, NODE_OPTIONS: nodeOptions.filter(Boolean).join(' ') },
    },
  );
}

/** A file that could not even be loaded counts as one failure: no job passes empty. */
function closingLine(report) {
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return `${report.numPassedTests} passed, ${failed} failed, ${report.numPendingTests + report.numTodoTests} skipped`;
}

try {
  provideTools();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
build();
const scratch = mkdtempSync(join(tmpdir(), 'nestjs-realtime-test-'));
const reportPath = join(scratch, 'report.json');
const result = runJest(process.argv.slice(2), reportPath);
if (existsSync(reportPath)) console.log(closingLine(JSON.parse(readFileSync(reportPath, 'utf8'))));
rmSync(scratch, { recursive: true });
process.exit(result.status ?? 1);
