import { createHash } from 'node:crypto';
import { loadScript } from './load-script.js';
import type { RedisScript } from './script-runner.js';

/** A presence script: what all of them share, what those that write share, and its own file behind it. */
function load(name: string, ...preludes: readonly string[]): RedisScript {
  const lua = [...preludes, name].map((part) => loadScript(part).lua).join('\n');
  return { name, lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

const READ = ['presence-user'];
const WRITE = [...READ, 'presence-room'];

export const PRESENCE_SCRIPTS = {
  enter: load('presence-enter', ...WRITE),
  leave: load('presence-leave', ...WRITE),
  update: load('presence-update', ...WRITE),
  sweep: load('presence-sweep', ...WRITE),
  read: load('presence-read', ...READ),
  page: load('presence-page', ...READ),
  entries: load('presence-entries', ...READ),
} as const;

/** The keys of a room in the order of KEYS; what only writes need is last. */
export const PRESENCE_KEYS = ['pc', 'pm', 'px', 'pn', 'pd', 'py', 'pu', 'pi', 'pl'] as const;
