import type { Peer } from './peers/peer.js';
import type { Session } from './peers/session.js';
import type { Settings } from './settings.js';

/**
 * A scenario says who is compared, on which steps, what one step measures, and which targets hold. Everything else (order of
 * the runs, fresh processes, medians, tables, plots, files) is the same for all and not its business.
 */
export interface Scenario<Key extends string = string> {
  readonly name: string;
  readonly title: string;
  /** What is done and measured, for who reads the report. */
  readonly about: string;
  plan(settings: Settings): Plan<Key>;
}

export interface Plan<Key extends string = string> {
  /** Runs of each peer, alternating. */
  readonly runs: number;
  /** Server processes of each peer; several need Redis. */
  readonly nodes: number;
  readonly peers: readonly Peer[];
  /** In the order in which each session takes them. */
  readonly steps: readonly Step[];
  readonly columns: readonly Column<Key>[];
  /** The first is the one that stands for the scenario. */
  readonly plots: readonly Plot<Key>[];
  /** Once for each fresh session: connections that all steps share, and what makes the code warm. */
  prepare?(session: Session): Promise<void>;
  /** @throws Error if something is missing or wrong: a benchmark of a broken server measures nothing. */
  measure(session: Session, step: Step): Promise<Record<Key, number>>;
  /** After such a sample the peer is not asked for the higher steps of this run. */
  isBeyondLimit?(sample: Record<Key, number>): boolean;
  checks(results: Results<Key>): readonly Check[];
}

export interface Step {
  readonly label: string;
  /** Where the step stands on the x axis. */
  readonly x: number;
  /** What else `measure` wants to know. */
  readonly values?: Readonly<Record<string, number>>;
}

export interface Column<Key extends string> {
  readonly key: Key;
  readonly label: string;
  readonly digits: number;
  /** Added as a column of its own: the value divided by that of this peer. */
  readonly ratioTo?: string;
}

export type Plot<Key extends string = string> =
  | {
      readonly kind: 'lines';
      readonly title: string;
      readonly x: Axis;
      readonly y: Axis & { readonly key: Key };
      /** A horizontal line, for example a target. */
      readonly mark?: { readonly value: number; readonly label: string };
    }
  | { readonly kind: 'bars'; readonly title: string; readonly y: Axis & { readonly key: Key } };

export interface Axis {
  /** With its unit. */
  readonly label: string;
  readonly scale: 'linear' | 'log';
}

export interface Check {
  readonly what: string;
  readonly value: number;
  /** `atMost` or `atLeast`, whichever stands there. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** Medians over the runs. */
export interface Results<Key extends string = string> {
  /** NaN where the peer was not measured. */
  at(peer: string, step: Step, key: Key): number;
  /** The largest x up to which every median passes; 0 if not even the first does. */
  largest(peer: string, isGood: (sample: Record<Key, number>) => boolean): number;
  has(peer: string): boolean;
}
