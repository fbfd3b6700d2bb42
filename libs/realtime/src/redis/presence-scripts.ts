import { createHash } from 'node:crypto';
import { loadScript } from './load-script.js';
import type { RedisScript } from './script-runner.js';

/** A presence script that writes: `presence-room.lua`, which all of them need, and its own file behind it. */
function loadWrite(name: string): RedisScript {
  const lua = `${loadScript('presence-room').lua}\n${loadScript(name).lua}`;
  return { name, lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

export const PRESENCE_SCRIPTS = {
  enter: loadWrite('presence-enter'),
  leave: loadWrite('presence-leave'),
  update: loadWrite('presence-update'),
  sweep: loadWrite('presence-sweep'),
  read: loadScript('presence-read'),
  page: loadScript('presence-page'),
} as const;
