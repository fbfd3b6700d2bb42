import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Where the server processes of one peer spent their time, by function, the most first. */
export interface Profile {
  readonly peer: string;
  readonly entries: readonly { readonly where: string; readonly share: number }[];
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const ENTRIES = 20;
const NOT_WORK = new Set(['(idle)', '(root)']);

export function readProfiles(folder: string): Profile[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((peer) => ({ peer, entries: sumUp(join(folder, peer)) }));
}

/** Self time over all processes, without idling. */
function sumUp(folder: string): Profile['entries'] {
  const micros = new Map<string, number>();
  for (const name of readdirSync(folder)) {
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile;
    const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
    samples.forEach((id, index) => {
      const place = places.get(id) ?? '';
      if (!NOT_WORK.has(place)) micros.set(place, (micros.get(place) ?? 0) + (timeDeltas[index] ?? 0));
    });
  }
  const total = [...micros.values()].reduce((sum, value) => sum + value, 0);
  return [...micros]
    .sort(([, a], [, b]) => b - a)
    .slice(0, ENTRIES)
    .map(([where, value]) => ({ where, share: value / total }));
}

function placeOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName;
  const [, inPackage] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  const file = url.startsWith('node:') ? url : basename(url);
  return `${functionName || '(anonymous)'} ${inPackage ? `${inPackage}/` : ''}${file}:${lineNumber + 1}`;
}
