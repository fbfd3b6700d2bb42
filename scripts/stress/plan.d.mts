export interface Pair {
  readonly project: string;
  readonly file: string;
}

/** One line of the file of runs. */
export interface Run extends Pair {
  readonly commit: string;
  readonly load: boolean;
  readonly passed: number;
  readonly failed: readonly { readonly name: string; readonly message: string }[];
  readonly ms: number;
  readonly greatestLagMs: number;
  readonly at: string;
}

export function parseArguments(args: readonly string[]): {
  readonly times: number;
  readonly load: boolean;
  readonly report: boolean;
  readonly patterns: readonly string[];
};
export function runsThatCount(runs: readonly Run[], at: { readonly commit: string; readonly load: boolean }): Run[];
export function lacking(pairs: readonly Pair[], runs: readonly Run[], times: number): Pair[];
export function batches(
  pairs: readonly Pair[],
  lackingPairs: readonly Pair[],
): { readonly projects: readonly string[]; readonly files: readonly string[] }[];
export function report(runs: readonly Run[]): string;
