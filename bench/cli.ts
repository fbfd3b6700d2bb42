import { hasNative } from './peers/native.js';
import { UWS } from './peers/peer.js';
import { circumstances } from './results/circumstances.js';
import { REPORT, RESULTS, emptyProfileFolder, storeResults, write, writeReport } from './results/files.js';
import { sentence } from './results/html.js';
import { readProfiles } from './results/profile.js';
import { summarise, type Outcome } from './results/outcome.js';
import { markdown, profileTable, tablesOf } from './results/tables.js';
import { runScenario } from './run-scenario.js';
import type { Plan, Scenario } from './scenario.js';
import { SCENARIOS } from './scenarios/index.js';
import { Settings } from './settings.js';

const USAGE = `npm run bench -- <scenario> [--check] [--quick] [--store] [--runs=5] [--only=peer,…] [--no-redis]

${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(16)} ${title}`).join('\n')}
  all              one after the other
  report           draws ${REPORT} again from the results that are there
  store            takes the results that are there into docs/benchmarks.md and docs/benchmarks/

  --check  fails if a target is missed       --quick  short, shows only that it works
  --store  writes to the docs too            --only   set-ups by id
  --profile  says where the servers spend their time
`;

async function main([name, ...args]: readonly string[]): Promise<void> {
  if (name === 'report') return writeReport();
  if (name === 'store') return storeResults();
  const chosen = name === 'all' ? SCENARIOS : SCENARIOS.filter((scenario) => scenario.name === name);
  if (chosen.length === 0) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  for (const scenario of chosen) await run(scenario, new Settings(args));
  console.log(`\nResults and plots: ${RESULTS}/, all in one page: ${REPORT}`);
}

async function run(scenario: Scenario, settings: Settings): Promise<void> {
  const whole = scenario.plan(settings);
  const plan = { ...whole, peers: peersOf(whole, settings) };
  settings.checkAllRead();
  const command = `npm run bench -- ${[scenario.name, ...settings.args.filter((arg) => arg !== '--store')].join(' ')}`;
  const profiles = settings.isProfiled ? emptyProfileFolder(scenario.name) : undefined;
  const samples = await runScenario(scenario, plan, profiles);
  const { isQuick } = settings;
  const outcome: Outcome = {
    ...summarise(scenario, plan, samples),
    circumstances: circumstances(command),
    isQuick,
    profiles: profiles === undefined ? [] : readProfiles(profiles),
  };
  await write(outcome, settings);
  show(outcome);
  if (settings.isChecked && !isQuick && outcome.checks.some(({ isMet }) => !isMet)) process.exitCode = 1;
}

/** Without those that were not asked for, and those that cannot run here. */
function peersOf({ peers }: Plan, { hasRedis, only }: Settings): Plan['peers'] {
  const unknown = only?.filter((id) => !peers.some((peer) => peer.id === id)) ?? [];
  if (unknown.length > 0) throw new Error(`No ${unknown.join(', ')} here: ${peers.map(({ id }) => id).join(', ')}`);
  const left = peers.filter(({ id, needsRedis }) => (only?.includes(id) ?? true) && (hasRedis || !needsRedis));
  const withoutNative = left.filter(({ id }) => id !== UWS.id);
  if (withoutNative.length === left.length || hasNative()) return left;
  console.error(`Left out: ${UWS.name}. For Node 20: npm install --prefix bench/native`);
  return withoutNative;
}

function show(outcome: Outcome): void {
  console.log(`\n${outcome.title}. ${outcome.about}`);
  for (const table of tablesOf(outcome)) console.log(`\n${table.label ? `${table.label}\n\n` : ''}${markdown(table)}`);
  for (const profile of outcome.profiles) console.log(`\n${markdown(profileTable(profile))}`);
  const { machine, versions, commit, date } = outcome.circumstances;
  console.log(`\nMedian of ${outcome.runs}. ${machine}. ${versions}. Commit ${commit}, ${date}.`);
  if (outcome.isQuick) console.log('Quick: it works; the numbers mean nothing and no target is judged.');
  else for (const check of outcome.checks) console.log(sentence(check));
}

await main(process.argv.slice(2));
