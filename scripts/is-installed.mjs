// Exit code 0 if node_modules is what package-lock.json says. Compares contents: a checkout changes all file times.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8')).packages;
const hidden = 'node_modules/.package-lock.json';

function isInstalled() {
  if (!existsSync(join(root, hidden))) return false;
  const wanted = read('package-lock.json');
  const present = read(hidden);
  const isRight = ([path, entry]) =>
    path === '' || (present[path] ? present[path].version === entry.version : entry.optional === true);
  const isKnown = (path) => Object.hasOwn(wanted, path);
  return Object.entries(wanted).every(isRight) && Object.keys(present).every(isKnown);
}

process.exitCode = isInstalled() ? 0 : 1;
