// The Redis that the nodes share: REDIS_URL, or a private server as in `npm test`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { TOOLS, findOrInstall } from '../system-tools.mjs';
import { freePorts } from './nodes.mjs';

export async function startRedis() {
  const given = process.env.REDIS_URL;
  if (given) return { url: given, isPrivate: false, stop: async () => undefined };
  const [port] = await freePorts([0]);
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  // In a process group of its own: Ctrl+C is for the nodes, which still need it while they drain.
  const child = spawn(findOrInstall(TOOLS.redis), args, { stdio: 'ignore', detached: true });
  const exited = once(child, 'exit');
  process.once('exit', () => child.kill('SIGKILL'));
  await answers(port);
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  return { url: `redis://127.0.0.1:${port}`, isPrivate: true, stop };
}

async function answers(port) {
  const endsAt = performance.now() + 10_000;
  while (performance.now() < endsAt) {
    const socket = net.connect(port, '127.0.0.1');
    const isUp = await new Promise((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    );
    socket.destroy();
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`redis-server on port ${port} does not answer`);
}
