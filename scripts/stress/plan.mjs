// Which files still have to run, and what came out. Pure.
const keyOf = ({ project, file }) => `${project} ${file}`;

/** @throws {Error} that says how it is used */
export function parseArguments(args) {
  const usage = 'usage: npm run test:stress -- [--times N] [--load] [--report] [--] [pattern …]';
  const settings = { times: 10, load: false, report: false, patterns: [] };
  const rest = [...args];
  while (rest.length > 0) {
    const arg = rest.shift();
    if (arg === '--') {
      settings.patterns.push(...rest.splice(0));
    } else if (arg === '--load' || arg === '--report') {
      settings[arg.slice(2)] = true;
    } else if (arg === '--times' || arg.startsWith('--times=')) {
      settings.times = Number(arg === '--times' ? rest.shift() : arg.slice('--times='.length));
      if (!Number.isSafeInteger(settings.times) || settings.times < 1)
        throw new Error(`--times wants a number; ${usage}`);
    } else if (arg.startsWith('-')) {
      throw new Error(`${arg} is not known; ${usage}`);
    } else {
      settings.patterns.push(arg);
    }
  }
  return settings;
}

/** A run under load counts for a sitting without load, too, but not the other way round. */
export const runsThatCount = (runs, { commit, load }) =>
  runs.filter((run) => run.commit === commit && (run.load || !load));

/** The pairs that have fewer than `times` runs. */
export function lacking(pairs, runs, times) {
  const counts = new Map();
  for (const run of runs) counts.set(keyOf(run), (counts.get(keyOf(run)) ?? 0) + 1);
  return pairs.filter((pair) => (counts.get(keyOf(pair)) ?? 0) < times);
}

/**
 * One start of Jest runs each of its files in each of its projects that knows the file. So the pairs of a round are split
 * into as few starts as it takes to run these pairs only.
 */
export function batches(pairs, lackingPairs) {
  const lacks = new Set(lackingPairs.map(keyOf));
  const projectsOf = (file, from) => from.filter((pair) => pair.file === file).map(({ project }) => project);
  const found = [];
  for (const file of new Set(lackingPairs.map((pair) => pair.file))) {
    const projects = projectsOf(file, lackingPairs);
    const isExact = (batch) => {
      const chosen = new Set([...batch.projects, ...projects]);
      return [...batch.files, file].every((name) =>
        projectsOf(name, pairs).every((project) => !chosen.has(project) || lacks.has(keyOf({ project, file: name }))),
      );
    };
    const batch = found.find(isExact);
    if (batch) {
      batch.files.push(file);
      batch.projects = [...new Set([...batch.projects, ...projects])];
    } else {
      found.push({ projects, files: [file] });
    }
  }
  return found;
}

/** The table of files, the failures by test, and the closing line. */
export function report(runs) {
  const rows = new Map();
  const failures = new Map();
  for (const run of runs) {
    const key = keyOf(run);
    const row = rows.get(key) ?? { name: key, runs: 0, failedRuns: 0, greatestLagMs: 0 };
    row.runs += 1;
    row.failedRuns += run.failed.length > 0 ? 1 : 0;
    row.greatestLagMs = Math.max(row.greatestLagMs, run.greatestLagMs);
    rows.set(key, row);
    for (const failure of run.failed) {
      const name = `${key}: ${failure.name}`;
      const seen = failures.get(name) ?? { count: 0, message: failure.message };
      failures.set(name, { count: seen.count + 1, message: failure.message });
    }
  }
  const failedRuns = runs.filter((run) => run.failed.length > 0).length;
  return [
    ...table([...rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1))),
    ...[...failures]
      .sort(([, a], [, b]) => b.count - a.count)
      .flatMap(([name, { count, message }]) => [`${count} × ${name}`, `    ${message}`]),
    `${runs.length} runs, ${failedRuns} failed`,
  ].join('\n');
}

function table(rows) {
  const head = ['file', 'runs', 'failed runs', 'greatest lag'];
  const cells = rows.map((row) => [row.name, `${row.runs}`, `${row.failedRuns}`, `${row.greatestLagMs} ms`]);
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i].length)));
  const align = (line) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return [head, ...cells].map(align);
}
