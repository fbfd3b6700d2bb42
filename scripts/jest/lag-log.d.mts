/** A time in which the event loop of a process stood still; it ended at `at` (epoch) and took `cpuMs` of CPU. */
export interface Gap {
  readonly at: number;
  readonly pid: number;
  readonly role: string;
  readonly lateMs: number;
  readonly cpuMs: number;
}

export const GAP_MS: number;
export function parseGaps(text: string): Gap[];
export function readGaps(path: string): Gap[];
export function parsePressure(text: string): number | undefined;
export function readPressure(): number | undefined;
export function during(gaps: readonly Gap[], from: number, to: number): Gap[];
export function greatest(gaps: readonly Gap[]): Gap | undefined;
export function inMs(ms: number): string;
export function lagNote(about: {
  readonly gaps: readonly Gap[];
  readonly from: number;
  readonly to: number;
  readonly pid: number;
  readonly pressureMs?: number | undefined;
}): string;
export function closingLag(gaps: readonly Gap[]): string;
export function insertNote(stack: string, note: string): string;
