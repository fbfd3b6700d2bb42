import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { DeflateOptions } from '../deflated-frame.js';
import { INTERNALS, internals, type Internals } from './internals.js';
import { nestTrial } from './nest-trial.js';
import { proveInternals, type Proof } from './prove-internals.js';
import { socketTrial } from './socket-trial.js';
import { writeTrial } from './write-trial.js';

export interface BootProofOptions {
  readonly coalesceWrites: boolean;
  /** Undefined: nothing is compressed. */
  readonly compression: DeflateOptions | undefined;
}

/** Apps of one process run on the same versions: what they want in the same way is tried once. */
const proofs = new Map<string, Promise<Proof>>();

/** What this app may use on the versions that run. Never rejects; takes some 250 ms the first time in a process. */
export async function proveAtBoot(options: BootProofOptions, warn: (line: string) => void): Promise<Internals> {
  const key = JSON.stringify([options.coalesceWrites, options.compression]);
  let proof = proofs.get(key);
  if (!proof) proofs.set(key, (proof = prove(options)));
  const { internals: proved, doubts } = await proof;
  if (doubts.length > 0) warn(warningOf(doubts));
  return proved;
}

function prove({ coalesceWrites, compression }: BootProofOptions): Promise<Proof> {
  const wanted = INTERNALS.filter((name) => {
    if (name === 'coalescedWrites') return coalesceWrites;
    return name !== 'compression' || compression !== undefined;
  });
  return proveInternals(internals(wanted), [nestTrial, writeTrial, socketTrial(compression)]);
}

function warningOf(doubts: Proof['doubts']): string {
  const list = doubts.map(({ name, why }) => `${name} (${why})`).join(', ');
  return `Switched off, because a trial at boot went wrong with ${versions()}: ${list}. The app works without; see docs/internals.md, and please report it.`;
}

const PACKAGES = ['@nestjs/core', 'socket.io', 'engine.io', 'ws'];

function versions(): string {
  return [`Node ${process.versions.node}`, ...PACKAGES.map((name) => `${name} ${versionOf(name)}`)].join(', ');
}

/** Engine.IO is a dependency of Socket.IO's, perhaps nested below it, and hides its `package.json`. */
function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  try {
    if (name !== 'engine.io') return (require(`${name}/package.json`) as { version: string }).version;
    const main = createRequire(require.resolve('socket.io/package.json')).resolve(name);
    const inside = join('node_modules', name);
    const folder = main.slice(0, main.lastIndexOf(inside) + inside.length);
    return (require(join(folder, 'package.json')) as { version: string }).version;
  } catch {
    return '(unknown version)';
  }
}
