import { once } from 'node:events';
import net from 'node:net';

/** One command as Redis carried it out. */
export interface SeenCommand {
  /** `host:port` of the connection that sent it, or `lua` for a script's own. */
  readonly from: string;
  /** Name and arguments, the name in upper case. */
  readonly args: readonly string[];
}

/** Everything that a server does from `startMonitor` on (MONITOR), in its order. */
export interface RedisMonitor extends Disposable {
  readonly seen: readonly SeenCommand[];
  /** Forgets what was seen so far. */
  clear(): void;
}

export async function startMonitor(port: number): Promise<RedisMonitor> {
  const seen: SeenCommand[] = [];
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.setEncoding('utf8');
  socket.on('error', () => undefined);
  let rest = '';
  const started = new Promise<void>((resolve) => {
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '+OK') resolve();
        const command = parseLine(line);
        if (command) seen.push(command);
      }
    });
  });
  socket.write('MONITOR\r\n');
  await started;
  return { seen, clear: () => void (seen.length = 0), [Symbol.dispose]: () => void socket.destroy() };
}

const LINE = /^\+[\d.]+ \[\d+ (\S+)\] (.*)$/s;
const ARGUMENT = /"((?:[^"\\]|\\.)*)"/gs;

function parseLine(line: string): SeenCommand | undefined {
  const [, from, rest = ''] = LINE.exec(line) ?? [];
  if (from === undefined) return undefined;
  const [name = '', ...args] = [...rest.matchAll(ARGUMENT)].map(([, text = '']) => text.replace(/\\(["\\])/g, '$1'));
  return { from, args: [name.toUpperCase(), ...args] };
}
