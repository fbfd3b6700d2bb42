import { Session } from './peers/session.js';
import type { Peer } from './peers/peer.js';
import { ChildEndedError } from './harness/child.js';
import { Progress } from './harness/progress.js';
import { Samples } from './results/outcome.js';
import type { Plan, Scenario, Step } from './scenario.js';

/** Alternating runs, fresh processes for each: this machine's noise hits all alike. `profiles`: a folder for CPU profiles. */
export async function runScenario<Key extends string>(
  scenario: Scenario<Key>,
  plan: Plan<Key>,
  profiles: string | undefined,
): Promise<Samples<Key>> {
  const samples = new Samples<Key>();
  const progress = new Progress(scenario.name, plan.runs * plan.peers.length * plan.steps.length);
  try {
    for (let run = 1; run <= plan.runs; run += 1) {
      for (const peer of plan.peers) {
        const describe = (step?: Step): string =>
          [`run ${run}`, peer.name, ...(step && plan.steps.length > 1 ? [step.label] : [])].join(' · ');
        progress.show(describe());
        await runPeer({ plan, peer, profiles, number: run, samples, progress, describe });
      }
    }
  } finally {
    progress.end();
  }
  return samples;
}

interface PeerRun<Key extends string> {
  readonly plan: Plan<Key>;
  readonly peer: Peer;
  readonly profiles: string | undefined;
  /** Of the run. */
  readonly number: number;
  readonly samples: Samples<Key>;
  readonly progress: Progress;
  readonly describe: (step?: Step) => string;
}

async function runPeer<Key extends string>(run: PeerRun<Key>): Promise<void> {
  const { plan, peer, profiles, number } = run;
  await using session = await Session.start(peer, plan);
  await plan.prepare?.(session);
  if (profiles !== undefined) await session.startProfiles();
  await runSteps(session, run);
  if (profiles !== undefined) await session.stopProfiles(profiles, number);
}

async function runSteps<Key extends string>(session: Session, run: PeerRun<Key>): Promise<void> {
  const { plan, peer, samples, progress, describe } = run;
  for (const [index, step] of plan.steps.entries()) {
    progress.show(describe(step));
    const sample = await plan.measure(session, step).catch((error: unknown) => {
      // Where limits are looked for, a server that does not survive a step has found its own.
      if (plan.isBeyondLimit && error instanceof ChildEndedError) return undefined;
      throw error;
    });
    if (!sample) return progress.advance(`${describe(step)} · ended by itself`, plan.steps.length - index - 1);
    samples.add(peer.id, step, sample);
    const isLast = plan.isBeyondLimit?.(sample) === true;
    progress.advance(`${describe(step)} · ${summary(plan, sample)}`, isLast ? plan.steps.length - index - 1 : 0);
    if (isLast) return;
  }
}

function summary<Key extends string>({ columns }: Plan<Key>, sample: Record<Key, number>): string {
  return columns.map(({ key, label, digits }) => `${label} ${sample[key].toFixed(digits)}`).join(', ');
}
