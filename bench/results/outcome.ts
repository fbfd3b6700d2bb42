import type { Axis, Check, Column, Plan, Plot, Results, Scenario, Step } from '../scenario.js';
import type { Circumstances } from './circumstances.js';
import type { Profile } from './profile.js';
import { median } from './statistics.js';

/** All that is known after a scenario has run: what is written as JSON, and what tables and plots are made of. */
export interface Outcome {
  readonly scenario: string;
  readonly title: string;
  readonly about: string;
  readonly circumstances: Circumstances;
  readonly runs: number;
  readonly isQuick: boolean;
  readonly steps: readonly Pick<Step, 'label' | 'x'>[];
  readonly columns: readonly Column<string>[];
  readonly plots: readonly Plot[];
  readonly series: readonly Series[];
  readonly checks: readonly (Check & { readonly isMet: boolean })[];
  /** With `--profile`. */
  readonly profiles: readonly Profile[];
}

export interface Series {
  readonly peer: string;
  readonly name: string;
  /** One for each step, as far as the peer came. */
  readonly points: readonly Point[];
}

export interface Point {
  readonly x: number;
  readonly label: string;
  readonly medians: Readonly<Record<string, number>>;
  /** Of each run, in order. */
  readonly samples: readonly Readonly<Record<string, number>>[];
}

export type { Axis };

/** Samples by peer and step, in the order of the runs. */
export class Samples<Key extends string> {
  private readonly byPeer = new Map<string, Map<Step, Record<Key, number>[]>>();

  add(peer: string, step: Step, sample: Record<Key, number>): void {
    const steps = this.byPeer.get(peer) ?? new Map<Step, Record<Key, number>[]>();
    this.byPeer.set(peer, steps);
    steps.set(step, [...(steps.get(step) ?? []), sample]);
  }

  of(peer: string, step: Step): readonly Record<Key, number>[] {
    return this.byPeer.get(peer)?.get(step) ?? [];
  }
}

export function summarise<Key extends string>(
  { name, title, about }: Scenario<Key>,
  plan: Plan<Key>,
  samples: Samples<Key>,
): Pick<Outcome, 'scenario' | 'title' | 'about' | 'runs' | 'steps' | 'columns' | 'plots' | 'series' | 'checks'> {
  const results = resultsOf(plan, samples);
  const series = plan.peers.map(({ id, name: peerName }) => ({
    peer: id,
    name: peerName,
    points: plan.steps
      .filter((step) => samples.of(id, step).length > 0)
      .map((step) => {
        const medians = Object.fromEntries(plan.columns.map(({ key }) => [key, results.at(id, step, key)]));
        return { x: step.x, label: step.label, medians, samples: samples.of(id, step) };
      }),
  }));
  return {
    ...{ scenario: name, title, about, series },
    runs: plan.runs,
    steps: plan.steps.map(({ label, x }) => ({ label, x })),
    columns: plan.columns,
    plots: plan.plots,
    checks: plan.checks(results).map((check) => ({ ...check, isMet: isMet(check) })),
  };
}

function resultsOf<Key extends string>(plan: Plan<Key>, samples: Samples<Key>): Results<Key> {
  const at = (peer: string, step: Step, key: Key): number =>
    median(samples.of(peer, step).map((sample) => sample[key]));
  const isMeasured = (peer: string, step: Step): boolean => samples.of(peer, step).length > 0;
  const medians = (peer: string, step: Step): Record<Key, number> =>
    Object.fromEntries(plan.columns.map(({ key }) => [key, at(peer, step, key)])) as Record<Key, number>;
  return {
    at,
    largest: (peer, isGood) => {
      const end = plan.steps.findIndex((step) => !isMeasured(peer, step) || !isGood(medians(peer, step)));
      return (end === -1 ? plan.steps.at(-1) : plan.steps[end - 1])?.x ?? 0;
    },
    has: (peer) => plan.steps.some((step) => isMeasured(peer, step)),
  };
}

function isMet({ value, atMost, atLeast }: Check): boolean {
  if (atMost !== undefined) return value <= atMost;
  return atLeast !== undefined && value >= atLeast;
}
