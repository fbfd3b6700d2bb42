// The layer table, cycles and file sizes. Fails below a floor of modules: a checker that saw nothing is not content.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import config, { ALIASES, LAYERS } from '../.dependency-cruiser.mjs';

const MODULE_FLOOR = 200;
const MAX_LINES = 300;
const SOURCE_EXTENSIONS = new Set(['.ts', '.mjs', '.js', '.cjs', '.lua']);

const root = join(import.meta.dirname, '..');
process.chdir(root);
const problems = [];

async function checkDependencies() {
  const folders = [
    'libs/realtime-protocol/src',
    'libs/realtime/src',
    'libs/realtime-client/src',
    'src',
    'test',
    'bench',
  ];
  const { tsConfig, ...options } = config.options;
  const { output } = await cruise(
    folders.filter((folder) => existsSync(folder)),
    {
      ...options,
      tsConfig: { fileName: join(root, tsConfig.fileName) },
      validate: true,
      ruleSet: { forbidden: config.forbidden },
    },
    { alias: ALIASES },
    { tsConfig: extractTSConfig(join(root, tsConfig.fileName)) },
  );
  const comments = new Map(config.forbidden.map((rule) => [rule.name, rule.comment]));
  for (const { rule, from, to, cycle } of output.summary.violations) {
    const path = cycle ? [from, ...cycle.map((step) => step.name)].join(' → ') : from === to ? from : `${from} → ${to}`;
    problems.push(`${rule.name}: ${path}\n    ${comments.get(rule.name)}`);
  }
  const ours = output.modules.filter((module) => /^(libs\/[^/]+\/src|src|test|bench)\//.test(module.source));
  if (ours.length < MODULE_FLOOR) problems.push(`saw ${ours.length} modules, fewer than the floor of ${MODULE_FLOOR}`);
  return {
    modules: ours.length,
    dependencies: output.summary.totalDependenciesCruised,
  };
}

function checkFolders() {
  const folders = readdirSync('libs/realtime/src', {
    withFileTypes: true,
  }).filter((entry) => entry.isDirectory());
  for (const { name } of folders)
    if (!Object.hasOwn(LAYERS, name)) problems.push(`libs/realtime/src/${name}/ has no row in the layer table`);
}

function checkSizes() {
  const folders = ['libs', 'src', 'test', 'bench', 'scripts'].filter((folder) => existsSync(folder));
  let files = 0;
  for (const folder of folders) {
    for (const entry of readdirSync(folder, {
      recursive: true,
      withFileTypes: true,
    })) {
      const path = relative(root, join(root, entry.parentPath, entry.name));
      if (!entry.isFile() || !SOURCE_EXTENSIONS.has(extname(path))) continue;
      if (/(^|\/)(node_modules|dist)\//.test(path) || /\.(spec|contract)\.(ts|mjs)$/.test(path)) continue;
      files += 1;
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n').length;
      if (lines > MAX_LINES) problems.push(`${path} has ${lines} lines, more than ${MAX_LINES}`);
    }
  }
  return files;
}

const { modules, dependencies } = await checkDependencies();
checkFolders();
const files = checkSizes();
for (const problem of problems) console.error(problem);
console.log(
  `layers: saw ${modules} modules, ${dependencies} dependencies, ${files} source files; ${problems.length} problems`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
