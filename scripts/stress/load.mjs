// Load for the tests to suffer from: two busy loops, and a writer that keeps the disk busy.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// They look for their parent: nothing else would end them after a SIGKILL of it.
const BUSY = 'const parent = process.ppid; while (process.ppid === parent);';
const WRITER = `
  const { openSync, writeSync, fsyncSync, rmSync } = require('node:fs');
  const folder = process.argv[1];
  const parent = process.ppid;
  const file = openSync(folder + '/scratch', 'w');
  const mebibyte = Buffer.alloc(2 ** 20, 1);
  while (process.ppid === parent) {
    for (let i = 0; i < 64; i += 1) writeSync(file, mebibyte, 0, mebibyte.length, i * mebibyte.length);
    fsyncSync(file);
  }
  rmSync(folder, { recursive: true, force: true });
`;

/** Starts it; gives the function that ends it, which also runs when this process exits. */
export function startLoad() {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-realtime-load-'));
  const scripts = [BUSY, BUSY, WRITER];
  const children = scripts.map((script) =>
    spawn(process.execPath, ['-e', script, folder], {
      stdio: 'ignore',
      env: { PATH: process.env.PATH },
    }),
  );
  const end = () => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', end);
  return end;
}
