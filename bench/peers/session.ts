import { join } from 'node:path';
import { Child } from '../harness/child.js';
import type { LoadCommand, LoadReport, ServerCommand, ServerReport } from '../harness/messages.js';
import { startRedis, type BenchRedis } from '../harness/redis.js';
import { WIRE_VARIABLE } from '../load/wire.js';
import type { Peer } from './peer.js';

export type Node = Child<ServerCommand, ServerReport>;

export interface SessionOptions {
  /** Server processes; several need Redis. */
  readonly nodes: number;
}

/** Fresh server processes of one peer, a fresh client process and, if it needs one, a fresh Redis: nothing is warm from the run before. */
export class Session implements AsyncDisposable {
  private constructor(
    readonly peer: Peer,
    readonly nodes: readonly Node[],
    readonly ports: readonly number[],
    readonly load: Child<LoadCommand, LoadReport>,
    private readonly server: BenchRedis | undefined,
  ) {}

  static async start(peer: Peer, { nodes }: SessionOptions): Promise<Session> {
    const started: AsyncDisposable[] = [];
    try {
      const redis = peer.needsRedis ? await startRedis() : undefined;
      if (redis) started.push(redis);
      const env = { ...peer.env, NODE_ENV: 'production', REDIS_URL: redis?.url ?? '' };
      const children = Array.from(
        { length: nodes },
        (): Node => new Child(peer.server, { share: 'server', execArgv: ['--expose-gc'], env }),
      );
      started.push(...children);
      const listening = await Promise.all(children.map((child) => child.next('listening')));
      const load = new Child<LoadCommand, LoadReport>('load/main.js', {
        share: 'rest',
        env: { [WIRE_VARIABLE]: JSON.stringify(peer.wire) },
      });
      const ports = listening.map(({ port }) => port);
      return new Session(peer, children, ports, load, redis);
    } catch (error) {
      await disposeAll(started);
      throw error;
    }
  }

  get node(): Node {
    return this.nodeAt(0);
  }

  nodeAt(index: number): Node {
    const node = this.nodes[index];
    if (!node) throw new Error(`There is no node ${index}`);
    return node;
  }

  get room(): string {
    return this.peer.room ?? 'hall/';
  }

  get redis(): BenchRedis {
    if (!this.server) throw new Error(`${this.peer.name} runs without Redis`);
    return this.server;
  }

  /** Microseconds of CPU that the server processes have used so far, user and system. */
  async cpu(): Promise<number> {
    const reports = await Promise.all(this.nodes.map((node) => node.ask({ kind: 'cpu' }, 'cpu')));
    return reports.reduce((sum, { microseconds }) => sum + microseconds, 0);
  }

  async startProfiles(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.ask({ kind: 'start-profile' }, 'profiled')));
  }

  /** One file for each node. */
  async stopProfiles(folder: string, run: number): Promise<void> {
    const path = (node: number): string => join(folder, this.peer.id, `run-${run}-node-${node}.cpuprofile`);
    await Promise.all(
      this.nodes.map((node, index) => node.ask({ kind: 'stop-profile', path: path(index) }, 'profiled')),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll([...this.nodes, this.load, ...(this.server ? [this.server] : [])]);
  }
}

/** One after the other: servers end while what they need still runs. */
async function disposeAll(started: readonly AsyncDisposable[]): Promise<void> {
  for (const one of started) await one[Symbol.asyncDispose]();
}
