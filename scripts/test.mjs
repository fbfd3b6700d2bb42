// `npm test [-- jest arguments]`: finds what the tests need, builds, runs Jest, and closes with one line of counts.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest, root, setUp } from './test-set-up.mjs';

/** A file that could not even be loaded counts as one failure: no job passes empty. */
function closingLine(report) {
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return `${report.numPassedTests} passed, ${failed} failed, ${report.numPendingTests + report.numTodoTests} skipped`;
}

const env = setUp();
const scratch = mkdtempSync(join(tmpdir(), 'nestjs-realtime-test-'));
const reportPath = join(scratch, 'report.json');
const lagLog = join(scratch, 'lag.jsonl');
writeFileSync(lagLog, '');
const args = ['--maxWorkers=2', '--json', `--outputFile=${reportPath}`, ...process.argv.slice(2)];
const result = spawnSync(process.execPath, jest(...args), {
  cwd: root,
  // With `--json` Jest writes the report to stdout too; what people read is on stderr.
  stdio: ['inherit', 'ignore', 'inherit'],
  env: { ...env, REALTIME_LAG_LOG: lagLog },
});
if (existsSync(reportPath)) console.log(closingLine(JSON.parse(readFileSync(reportPath, 'utf8'))));
rmSync(scratch, { recursive: true });
process.exit(result.status ?? 1);
