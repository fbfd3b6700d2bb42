import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const workspaces: string[] = [];
afterAll(() => workspaces.forEach((workspace) => rmSync(workspace, { recursive: true })));

/** What the check says about a workspace with our rules and only these files. */
function check(files: Record<string, string>): Promise<string> {
  const workspace = mkdtempSync(join(tmpdir(), 'nestjs-realtime-layers-'));
  workspaces.push(workspace);
  for (const path of [
    'scripts/check-layers.mjs',
    '.dependency-cruiser.mjs',
    'tsconfig.base.json',
    'test/tsconfig.json',
  ])
    cpSync(join(root, path), join(workspace, path));
  symlinkSync(join(root, 'node_modules'), join(workspace, 'node_modules'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(workspace, dirname(path)), { recursive: true });
    writeFileSync(join(workspace, path), text);
  }
  // Not spawnSync: to the lag witness it would look as if this process got no CPU.
  return new Promise((resolve) => {
    const child = execFile(process.execPath, ['scripts/check-layers.mjs'], { cwd: workspace }, (_, out, err) =>
      resolve(`${out}${err}exit code ${child.exitCode}`),
    );
  });
}

const S = 'libs/realtime/src';
const allowed = {
  'libs/realtime-protocol/src/index.ts': 'export type X = 1;',
  [`${S}/core/a.ts`]: "export type { X } from 'nestjs-realtime-protocol';",
  [`${S}/presence/a.ts`]: "export type { X } from '../core/a.js';",
  [`${S}/redis/a.ts`]: "export type { X } from '../presence/a.js'; export { createClient } from 'redis';",
  [`${S}/index.ts`]: "export type { X } from './redis/a.js';",
  'test/a.ts': "import type { X } from 'nestjs-realtime'; export type Y = X;",
};

/** One file that breaks each rule, on top of what is allowed. */
const broken: Record<string, string> = {
  [`${S}/history/layer.ts`]: "export type { X } from '../presence/a.js';",
  [`${S}/core/cycle-a.ts`]: "import type { B } from './cycle-b.js'; export type A = B | 1;",
  [`${S}/core/cycle-b.ts`]: "import type { A } from './cycle-a.js'; export type B = A | 2;",
  [`${S}/rooms/redis.ts`]: "export { createClient } from 'redis';",
  [`${S}/rooms/socket.ts`]: "import type { Socket } from 'socket.io'; export type A = Socket;",
  [`${S}/auth/terminus.ts`]: "export { TerminusModule } from '@nestjs/terminus';",
  [`${S}/limits/throttler.ts`]: "export { ThrottlerGuard } from '@nestjs/throttler';",
  [`${S}/auth/barrel.ts`]: "export type { X } from '../index.js';",
  [`${S}/realtime.options.ts`]: "export type { X } from './metrics/a.js';",
  [`${S}/auth/root.ts`]: "export type { X } from '../realtime.options.js';",
  [`${S}/metrics/a.ts`]: "export type { X } from '../core/a.js';",
  [`${S}/core/client.ts`]: "export type { C } from 'nestjs-realtime-client';",
  [`${S}/core/deep.ts`]: "export type { X } from '../../../realtime-protocol/src/codes.js';",
  [`${S}/core/gone.ts`]: "export type { X } from './nowhere.js';",
  [`${S}/core/orphan.ts`]: '// line\n'.repeat(301),
  [`${S}/stuff/a.ts`]: "export type { X } from '../core/a.js';",
  'libs/realtime-protocol/src/codes.ts': "export { readFileSync } from 'node:fs'; export type X = 1;",
  'libs/realtime-client/src/index.ts': "export { Injectable } from '@nestjs/common'; export type C = 1;",
  'test/deep.ts': "export type { X } from '../libs/realtime/src/core/a.js';",
  'src/relative.ts': "export type { X } from '../libs/realtime/src/index.js';",
};

describe('when somebody breaks the layer table', () => {
  let output: string;
  beforeAll(async () => void (output = await check({ ...allowed, ...broken })));

  it.each([
    'layer-history: libs/realtime/src/history/layer.ts → libs/realtime/src/presence/a.ts',
    'no-cycle: libs/realtime/src/core/cycle-a.ts → libs/realtime/src/core/cycle-b.ts',
    'only-in-redis:redis: libs/realtime/src/rooms/redis.ts',
    'only-in-socketio:socket.io: libs/realtime/src/rooms/socket.ts',
    'only-in-health:@nestjs/terminus: libs/realtime/src/auth/terminus.ts',
    'only-in-limits-throttler:@nestjs/throttler: libs/realtime/src/limits/throttler.ts',
    'nobody-imports-the-barrel: libs/realtime/src/auth/barrel.ts',
    'main-entry-stays-light: libs/realtime/src/realtime.options.ts',
    'features-never-import-the-root: libs/realtime/src/auth/root.ts',
    'server-never-imports-client: libs/realtime/src/core/client.ts',
    'packages-by-their-entry: libs/realtime/src/core/deep.ts',
    'no-unresolvable: libs/realtime/src/core/gone.ts',
    'no-orphan: libs/realtime/src/core/orphan.ts',
    'libs/realtime/src/core/orphan.ts has 301 lines, more than 300',
    'libs/realtime/src/stuff/ has no row in the layer table',
    'protocol-imports-nothing: libs/realtime-protocol/src/codes.ts',
    'client-is-framework-free: libs/realtime-client/src/index.ts',
    'apps-use-entries: test/deep.ts',
    'apps-use-entry-names: src/relative.ts',
    'fewer than the floor',
    'exit code 1',
  ])('says %s', (problem) => {
    expect(output).toContain(problem);
  });
});

describe('when everything is as the table allows', () => {
  it('complains about nothing but the few modules', async () => {
    const output = await check(allowed);
    expect(output).toContain('fewer than the floor');
    expect(output).toContain('; 1 problems');
  });
});
