import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Four processes start in turn on two busy cores.

const CLI = join(import.meta.dirname, '../../dist/bench/cli.js');

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'bench-'))));
afterEach(() => rmSync(folder, { recursive: true }));

async function bench(...args: readonly string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}

describe('when a scenario runs quickly', () => {
  it('measures its set-ups in turn and leaves results, a plot and a report', async () => {
    const { code, output } = await bench('ack', '--quick', '--no-redis', '--only=socket.io,ours', '--rate=50');
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('| nestjs-realtime |') });

    const results = join(folder, 'bench-results');
    expect(readdirSync(results).sort()).toEqual(['ack.json', 'ack.svg', 'report.html']);
    const outcome = JSON.parse(readFileSync(join(results, 'ack.json'), 'utf8'));
    expect(outcome).toMatchObject({ scenario: 'ack', isQuick: true, runs: 1 });
    expect(outcome.series.map(({ peer }: { peer: string }) => peer)).toEqual(['socket.io', 'ours']);
    for (const { points } of outcome.series) expect(points[0].samples[0].cpu).toBeGreaterThan(0);
    expect(readFileSync(join(results, 'ack.svg'), 'utf8')).toContain('npm run bench -- ack');
  });
});

describe('when the command line makes no sense', () => {
  it.each([
    { args: [], says: 'npm run bench -- <scenario>' },
    { args: ['no-such-scenario'], says: 'reconnect-storm' },
    { args: ['ack', '--conections=5'], says: 'This scenario knows no --conections' },
    { args: ['ack', '--rate=fast'], says: '--rate must be a positive integer' },
    { args: ['ack', '--only=nobody'], says: 'No nobody here: stock' },
  ])('refuses $args and says why', async ({ args, says }) => {
    const { code, output } = await bench(...args);
    expect(code).not.toBe(0);
    expect(output).toContain(says);
    expect(readdirSync(folder)).toEqual([]);
  });
});
