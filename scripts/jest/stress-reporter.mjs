// Writes down each file as soon as it has run, so that a sitting that is stopped keeps what it has.
import { appendRun, runOf } from '../stress/runs.mjs';
import { readGaps } from './lag-log.mjs';

export default class StressReporter {
  onTestResult({ context }, result) {
    const { commit, load, path } = JSON.parse(process.env.REALTIME_STRESS);
    const project = context.config.displayName.name;
    const gaps = readGaps(process.env.REALTIME_LAG_LOG);
    appendRun(path, runOf({ root: context.config.rootDir, project, commit, load, result, gaps, at: Date.now() }));
  }
}
