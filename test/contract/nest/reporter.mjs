// Says how many contract specs passed on how many Nests, and fails the run when one is missing: a job must not pass empty.
import { readdirSync } from 'node:fs';

const MAJORS = ['nest12', 'nest11'];
const FACTS = 15;
const isSpec = (path) => path.endsWith('.spec.ts');

export default class ContractReporter {
  passed = new Map();
  files = new Map();

  onTestResult({ path, context }, { numPassingTests }) {
    if (!path.startsWith(`${import.meta.dirname}/`)) return;
    const project = context.config.displayName.name;
    this.passed.set(project, (this.passed.get(project) ?? 0) + numPassingTests);
    this.files.set(project, (this.files.get(project) ?? 0) + 1);
  }

  /** Only a run of the whole folder is judged, so that a single file can still be run alone. */
  onRunComplete() {
    const specs = readdirSync(import.meta.dirname).filter(isSpec).length;
    if (Math.max(0, ...this.files.values()) < specs) return;
    const counts = MAJORS.map((project) => this.passed.get(project) ?? 0);
    const isComplete = counts.every((count) => count >= FACTS);
    const detail = MAJORS.map((project, i) => `${project}: ${counts[i]}`).join(', ');
    process.stderr.write(`Nest contract: ${isComplete ? `${FACTS} x ${MAJORS.length}` : 'incomplete'} (${detail})\n`);
    if (!isComplete)
      this.error = new Error(
        `the Nest contract needs ${FACTS} passing tests on each of ${MAJORS.join(', ')}: ${detail}`,
      );
  }

  getLastError() {
    return this.error;
  }
}
