import type { LoadCommand, LoadReport, ServerCommand, ServerReport } from './messages.js';
import { Child, type ChildOptions } from './child.js';

/** A set-up that is measured. */
export interface Subject {
  readonly name: string;
  readonly server: string;
  readonly env?: Readonly<Record<string, string>>;
}

export const STOCK: Subject = { name: 'stock Nest, IoAdapter', server: 'servers/stock.js' };
export const OURS: Subject = { name: 'nestjs-realtime', server: 'servers/ours.js', env: { REDIS_URL: '' } };

export function oursOnRedis(url: string): Subject {
  return { name: 'nestjs-realtime, Redis', server: 'servers/ours.js', env: { REDIS_URL: url } };
}

export interface Pair extends AsyncDisposable {
  readonly server: Child<ServerCommand, ServerReport>;
  readonly load: Child<LoadCommand, LoadReport>;
  readonly port: number;
}

/** A fresh server and a fresh client process for each run: nothing is warm from the run before. */
export async function startPair(subject: Subject, options: Pick<ChildOptions, 'execArgv'> = {}): Promise<Pair> {
  const server = new Child<ServerCommand, ServerReport>(subject.server, {
    execArgv: ['--expose-gc', ...(options.execArgv ?? [])],
    env: { ...subject.env, NODE_ENV: 'production' },
  });
  const { port } = await server.next('listening');
  const load = new Child<LoadCommand, LoadReport>('load/clients.js');
  return {
    ...{ server, load, port },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await load[Symbol.asyncDispose]();
    },
  };
}
