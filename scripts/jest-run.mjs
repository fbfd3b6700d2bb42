// How `npm test`, `npm run test:nodes` and `npm run test:peers` run Jest, and count what it says.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WORKERS, jest, root } from './test-set-up.mjs';

/** A file that could not even be loaded counts as one failure: no job passes empty. */
function counts(report) {
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

export const countsLine = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`;

/** @param {{ passed: number, failed: number, skipped: number }[]} all */
export function addUp(all) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const counts of all) for (const key of Object.keys(sum)) sum[key] += counts[key];
  return sum;
}

/**
 * @param {string[]} args of Jest
 * @param {{ env: object, node?: string, cwd?: string }} options
 * @returns {{ status: number, counts?: { passed: number, failed: number, skipped: number } }} no counts: Jest did not finish
 */
export function runJest(args, { env, node = process.execPath, cwd = root }) {
  const scratch = mkdtempSync(join(tmpdir(), 'nestjs-realtime-test-'));
  const reportPath = join(scratch, 'report.json');
  const lagLog = join(scratch, 'lag.jsonl');
  writeFileSync(lagLog, '');
  const common = [`--maxWorkers=${WORKERS}`, '--json', `--outputFile=${reportPath}`];
  const result = spawnSync(node, jest(...common, ...args), {
    cwd,
    // With `--json` Jest writes the report to stdout too; what people read is on stderr.
    stdio: ['inherit', 'ignore', 'inherit'],
    env: { ...env, REALTIME_LAG_LOG: lagLog },
  });
  const report = existsSync(reportPath) ? JSON.parse(readFileSync(reportPath, 'utf8')) : undefined;
  rmSync(scratch, { recursive: true });
  return { status: result.status ?? 1, counts: report && counts(report) };
}
