import type { Gap } from '../jest/lag-log.mjs';
import type { Run } from './plan.mjs';

/** The part of Jest's `TestResult` that is read. */
export interface FileResult {
  readonly testFilePath: string;
  readonly perfStats: { readonly start: number; readonly end: number };
  readonly numPassingTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[];
  }[];
  readonly failureMessage?: string | null;
  readonly testExecError?: { readonly message: string };
}

export function runOf(about: {
  readonly root: string;
  readonly project: string;
  readonly commit: string;
  readonly load: boolean;
  readonly result: FileResult;
  readonly gaps: readonly Gap[];
  readonly at: number;
}): Run;
export function appendRun(path: string, run: Run): void;
export function readRuns(path: string): Run[];
