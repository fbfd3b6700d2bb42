import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import type { RealtimeOptions } from 'nestjs-realtime';
import type { NodeMessage, NodeOperations, NodeReport, NodeRequest } from '../apps/operations.js';
import { testOptions } from './app.js';
import { GENEROUS_MS } from './eventually.js';
import { IS_FULL } from './scale.js';

/**
 * A cluster of real processes on one real Redis. A node that ends by itself, or says that it left a rejection unhandled,
 * fails the test at the latest when the cluster is disposed of.
 */
export interface Cluster extends AsyncDisposable {
  readonly nodes: readonly ClusterNode[];
  /** `PresenceService.changes` of all nodes, killed ones too, in the order of arrival. */
  readonly changes: readonly PresenceChangeSeen[];
  /** When nodes ended which connections. */
  readonly ended: readonly ConnectionEndSeen[];
  /** Starts one more node. */
  add(options?: Partial<RealtimeOptions>): Promise<ClusterNode>;
  /** Resolves when all changes that live nodes told before have arrived here. */
  settled(): Promise<void>;
}

export interface ClusterSettings {
  /** Absent: every node is alone, in memory. */
  readonly redisUrl?: string;
  readonly keyPrefix?: string;
  /** For every node; `redis` is added to what `redisUrl` and `keyPrefix` make. */
  readonly options?: Partial<RealtimeOptions>;
}

export type PresenceChangeSeen = Extract<NodeReport, { kind: 'change' }> & { readonly node: string };
export type ConnectionEndSeen = Extract<NodeReport, { kind: 'ended' }>;

type Operation = keyof NodeOperations;

/**
 * The product's own timers at full length, else shorter ones. Even so a process that stands still for five seconds keeps its
 * lease: the last renewal is at most two seconds old. Looks are five seconds apart at most before a node mistrusts them.
 */
export const CLUSTER_TIMES = IS_FULL
  ? { leaseMs: 15_000, renewMs: 5_000, watchMs: 2_000, sweepAgainMs: 60_000 }
  : { leaseMs: 10_000, renewMs: 2_000, watchMs: 2_000, sweepAgainMs: 2_000 };

export const LEAVE_GRACE_MS = IS_FULL ? 5_000 : 1_000;

/** Shorter than the waits of tests, so that what the product says comes before their end. */
const PATIENCE_MS = 30_000;

/** A Redis, a node or a machine that stands still for seconds is late, and no outage: unless outages are the test's subject. */
const PATIENCE = IS_FULL
  ? { redis: {}, rooms: {}, cluster: {} }
  : {
      redis: { probeTimeoutMs: PATIENCE_MS, commandTimeoutMs: PATIENCE_MS },
      rooms: { publishTimeoutMs: PATIENCE_MS },
      cluster: { requestTimeoutMs: PATIENCE_MS },
    };

export async function bootCluster(size: number, settings: ClusterSettings): Promise<Cluster> {
  const cluster = new ProcessCluster(settings);
  try {
    await Promise.all(Array.from({ length: size }, () => cluster.add()));
  } catch (error) {
    await cluster[Symbol.asyncDispose]().catch(() => undefined);
    throw error;
  }
  return cluster;
}

class ProcessCluster implements Cluster {
  readonly nodes: ClusterNode[] = [];
  readonly changes: PresenceChangeSeen[] = [];
  readonly ended: ConnectionEndSeen[] = [];
  private started = 0;

  constructor(private readonly settings: ClusterSettings) {}

  async add(options: Partial<RealtimeOptions> = {}): Promise<ClusterNode> {
    const { redisUrl, keyPrefix } = this.settings;
    const id = `node-${(this.started += 1)}`;
    const common = { ...this.settings.options, ...options };
    const realtime = testOptions({
      ...common,
      redis: redisUrl === undefined ? false : { url: redisUrl, keyPrefix, ...PATIENCE.redis, ...common.redis },
      rooms: { ...PATIENCE.rooms, ...common.rooms },
      cluster: { ...PATIENCE.cluster, ...common.cluster, nodeId: id },
    });
    const node = new ClusterNode(id, realtime, (report) => {
      if (report.kind === 'change') this.changes.push({ node: id, ...report });
      else this.ended.push(report);
    });
    this.nodes.push(node);
    this.nodes.sort((a, b) => a.id.localeCompare(b.id));
    await node.listening();
    return node;
  }

  async settled(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => node.isRunning).map((node) => node.call('fence')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures = (await Promise.all(this.nodes.map((node) => node.end()))).filter((failure) => failure !== '');
    if (failures.length > 0) throw new Error(failures.join('\n\n'));
  }
}

const ENTRY = join(import.meta.dirname, '../../dist/test-apps/node.js');
const LAG_WITNESS = new URL('../../scripts/jest/lag-witness.mjs', import.meta.url).href;
/** A start is seconds of CPU, of which a starved machine gives little. */
const STARTS_WITHIN_MS = 2 * GENEROUS_MS;
const ANSWERS_WITHIN_MS = GENEROUS_MS;
const ENDS_WITHIN_MS = GENEROUS_MS;
const SUSPECT = /unhandled|uncaught|DeprecationWarning|MaxListenersExceeded/i;

const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

interface Question {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class ClusterNode {
  url = '';
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;
  private readonly questions = new Map<number, Question>();
  private asked = 0;
  private output = '';
  private isExpectedToEnd = false;
  private onListening: () => void = () => undefined;

  constructor(
    readonly id: string,
    options: RealtimeOptions,
    private readonly onReport: (report: NodeReport) => void,
  ) {
    if (!existsSync(ENTRY)) throw new Error('The test nodes are not built: run `npm run build`, or `npm test`.');
    const { PATH, REALTIME_LAG_LOG } = process.env;
    const lag = { REALTIME_LAG_LOG, REALTIME_LAG_ROLE: id };
    this.child = spawn(process.execPath, ['--import', LAG_WITNESS, ENTRY], {
      env: { PATH, NO_COLOR: '1', REALTIME_TEST_NODE: JSON.stringify(options), ...lag },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    running.add(this.child);
    const collect = (chunk: Buffer): void => void (this.output = (this.output + chunk.toString()).slice(-20_000));
    this.child.stdout?.on('data', collect);
    this.child.stderr?.on('data', collect);
    this.child.on('message', (message) => this.receive(message as NodeMessage));
    this.exited = once(this.child, 'exit').then(() => this.ended());
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** What the process printed. */
  get log(): string {
    return this.output;
  }

  async listening(): Promise<void> {
    const listening = new Promise<void>((resolve) => (this.onListening = resolve));
    await this.inTime(
      Promise.race([listening, this.exited.then(() => Promise.reject(this.failure('ended at boot')))]),
      STARTS_WITHIN_MS,
      'listen',
    );
  }

  call<Name extends Operation>(
    operation: Name,
    ...args: Parameters<NodeOperations[Name]>
  ): Promise<Awaited<ReturnType<NodeOperations[Name]>>> {
    const id = (this.asked += 1);
    const answer = new Promise<unknown>((resolve, reject) => {
      if (!this.isRunning) return reject(this.failure('is not running'));
      this.questions.set(id, { resolve, reject });
      // Without a callback the child emits the failure: it may just have been killed.
      this.child.send({ id, operation, args } satisfies NodeRequest, (error) => {
        if (error) reject(this.failure(`cannot be asked (${error.message})`));
      });
    });
    return this.inTime(answer, ANSWERS_WITHIN_MS, operation) as Promise<Awaited<ReturnType<NodeOperations[Name]>>>;
  }

  /** SIGKILL: sockets break, nothing is said to anybody. */
  async kill(): Promise<void> {
    this.isExpectedToEnd = true;
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** SIGSTOP: sockets stay open and say nothing. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  /** SIGCONT. */
  resume(): void {
    this.child.kill('SIGCONT');
  }

  /** Ends it as an orchestrator would; what went wrong in its life, or an empty string. */
  async end(): Promise<string> {
    const problems: string[] = [];
    if (!this.isRunning && !this.isExpectedToEnd) problems.push(`ended by itself (code ${this.child.exitCode})`);
    if (this.isRunning) {
      this.isExpectedToEnd = true;
      this.resume();
      this.child.kill('SIGTERM');
      const isLate = await this.inTime(this.exited, ENDS_WITHIN_MS, 'SIGTERM').then(
        () => false,
        () => true,
      );
      if (isLate) {
        problems.push(`did not end within ${ENDS_WITHIN_MS} ms of SIGTERM`);
        await this.kill();
      } else if (this.child.exitCode !== 0 && this.child.signalCode !== 'SIGTERM') {
        problems.push(`ended with code ${this.child.exitCode} on SIGTERM`);
      }
    }
    if (SUSPECT.test(this.output)) problems.push('printed what it must not');
    return problems.length === 0 ? '' : this.failure(problems.join('; ')).message;
  }

  private receive(message: NodeMessage): void {
    if (message.kind === 'listening') {
      this.url = message.url;
      return this.onListening();
    }
    if (message.kind !== 'answer') return this.onReport(message);
    const question = this.questions.get(message.id);
    this.questions.delete(message.id);
    if (message.error) question?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }));
    else question?.resolve(message.value);
  }

  private ended(): void {
    running.delete(this.child);
    for (const { reject } of this.questions.values()) reject(this.failure('ended'));
    this.questions.clear();
  }

  private failure(what: string): Error {
    return new Error(`${this.id} ${what}${this.output === '' ? '' : `:\n${this.output}`}`);
  }

  private inTime<T>(work: Promise<T>, deadlineMs: number, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.failure(`did not answer '${what}' within ${deadlineMs} ms`)),
        deadlineMs,
      );
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}
