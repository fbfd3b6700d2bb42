import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RedisScript } from './script-runner.js';

/** Reads `lua/<name>.lua` beside this file (also in the built package). Throws at boot if there is none. */
export function loadScript(name: string): RedisScript {
  const lua = readFileSync(fileURLToPath(new URL(`./lua/${name}.lua`, import.meta.url)), 'utf8');
  return { name, lua, sha1: createHash('sha1').update(lua).digest('hex') };
}
