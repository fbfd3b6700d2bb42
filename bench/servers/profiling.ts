import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { dirname } from 'node:path';

let session: Session | undefined;

/** From now on, without what it took to start. */
export async function startProfile(): Promise<void> {
  session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
}

export async function stopProfile(path: string): Promise<void> {
  if (!session) throw new Error('No profile has been started');
  const { profile } = await session.post('Profiler.stop');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(profile));
  session.disconnect();
}
