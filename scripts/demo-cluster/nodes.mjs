// One demo process each. Their warnings and errors are shown; the rest would drown the report.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../..');
const READY_WITHIN_MS = 30_000;

/** The wanted ports where they are free, others where they are not; 0 wants any. */
export async function freePorts(wanted) {
  const servers = [];
  for (const port of wanted) servers.push((await listen(port)) ?? (await listen(0)));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listen(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, () => resolve(server));
  });
}

export async function startNode({ name, port, urls, script, redisUrl }) {
  const child = spawn(process.execPath, [join(root, script)], {
    env: {
      ...process.env,
      // The simulated users get their tokens without a login.
      JWT_SECRET: '',
      NODE_ENV: 'development',
      PORT: String(port),
      NODE_NAME: name,
      REDIS_URL: redisUrl,
      DEMO_CLUSTER: urls.join(','),
      NO_COLOR: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  process.once('exit', () => child.kill('SIGKILL'));
  const tail = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      tail.push(line);
      if (tail.length > 40) tail.shift();
      if (/ (WARN|ERROR) /.test(line) && !/JWT_SECRET|SIGKILL/.test(line))
        console.log(`  [${name}] ${line.replace(/^.* (?=WARN|ERROR)/, '')}`);
    });
  }
  const url = `http://localhost:${port}`;
  const failed = exited.then(() => {
    throw new Error(`${name} ended:\n${tail.join('\n')}`);
  });
  failed.catch(() => undefined);
  await Promise.race([failed, answers(`${url}/node`)]);
  return { name, url, exited, stop: () => child.kill('SIGKILL') };
}

async function answers(url) {
  const endsAt = performance.now() + READY_WITHIN_MS;
  while (performance.now() < endsAt) {
    const isUp = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} does not answer`);
}
