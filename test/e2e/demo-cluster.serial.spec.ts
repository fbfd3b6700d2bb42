import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const SCRIPT = join(import.meta.dirname, '../../scripts/demo-cluster.mjs');

/** The script as `npm run demo:cluster` runs it, on the built demo. */
async function runDemo(...args: string[]): Promise<{ code: unknown; output: string }> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, [SCRIPT, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, output };
}

describe('when one of three nodes is killed', () => {
  it.concurrent('shows no ghost, no doubled leave and no message that was lost silently', async () => {
    const { code, output } = await runDemo('--auto');
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('5 of 5 announced as gone') });
    expect(output).toContain('0 lost and nobody was told');
  });

  it.concurrent("shows what the documentation's recipe loses", async () => {
    const { code, output } = await runDemo('--stock');
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('5 ghosts left in the list') });
    expect(output).toContain('0 of 5 announced as gone');
  });
});
