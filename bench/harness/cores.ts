import { accessSync, constants } from 'node:fs';
import { availableParallelism, platform } from 'node:os';
import { delimiter, join } from 'node:path';

/** `server`: the first core, alone. `rest`: all others, for load, Redis and the harness. */
export type Share = 'server' | 'rest';

const taskset = findTaskset();

/** Whether processes are kept apart: Linux, `taskset`, and two cores at least. */
export const isPinning = taskset !== undefined && availableParallelism() > 1;

/** The program and its first arguments that keep a process to its share of the cores. */
export function pinned(share: Share, program: string): readonly [string, ...string[]] {
  if (taskset === undefined || !isPinning) return [program];
  const last = availableParallelism() - 1;
  return [taskset, '-c', share === 'server' ? '0' : last === 1 ? '1' : `1-${last}`, program];
}

function findTaskset(): string | undefined {
  if (platform() !== 'linux') return undefined;
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'taskset'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
