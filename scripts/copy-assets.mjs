// What `tsc` leaves behind: Lua scripts of the library, and the pages of the demo.
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');

function* filesBelow(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

let copied = 0;
for (const name of readdirSync(join(root, 'libs'))) {
  const src = join(root, 'libs', name, 'src');
  if (!existsSync(src)) continue;
  for (const path of filesBelow(src)) {
    if (!path.endsWith('.lua')) continue;
    const target = join(root, 'libs', name, 'dist', path.slice(src.length + 1));
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
    copied += 1;
  }
}

const pages = join(root, 'src/public');
if (existsSync(pages)) {
  cpSync(pages, join(root, 'dist/demo/public'), { recursive: true });
  copied += 1;
}
if (process.argv.includes('--verbose')) console.log(`copied ${copied} assets`);
