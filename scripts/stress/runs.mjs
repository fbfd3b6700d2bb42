// The file of runs: one JSON line for each run of one file in one project.
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { during, greatest } from '../jest/lag-log.mjs';

/** @param result what Jest tells its reporters about a file */
export function runOf({ root, project, commit, load, result, gaps, at }) {
  const { start, end } = result.perfStats;
  const failed = result.testResults
    .filter(({ status }) => status === 'failed')
    .map(({ fullName, failureMessages }) => ({ name: fullName, message: firstLine(failureMessages[0]) }));
  // A file that could not be loaded, or whose afterAll failed, has a message and perhaps no failed test.
  if (failed.length === 0 && (result.testExecError || result.failureMessage))
    failed.push({ name: '(the file)', message: firstLine(result.testExecError?.message || result.failureMessage) });
  return {
    commit,
    project,
    file: relative(root, result.testFilePath),
    load,
    passed: result.numPassingTests,
    failed,
    ms: end - start,
    greatestLagMs: greatest(during(gaps, start, end))?.lateMs ?? 0,
    at: new Date(at).toISOString(),
  };
}

const firstLine = (message) =>
  stripVTControlCharacters(String(message ?? ''))
    .split('\n')
    .map((line) => line.trim())
    .find((line) => line !== '') ?? '';

export function appendRun(path, run) {
  mkdirSync(dirname(path), { recursive: true });
  appendFileSync(path, `${JSON.stringify(run)}\n`);
}

export function readRuns(path) {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
