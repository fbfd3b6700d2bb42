import { Logger } from '@nestjs/common';
import type { Clock } from './core/clock.js';
import { FailureLog } from './core/failure-log.js';
import type { NodeId } from './core/ids.js';
import type { summarize } from './core/metrics-summary.js';
import { onOneLine } from './core/printable.js';
import type { Engine } from './realtime.engine.js';
import type { ErrorContext, ResolvedRealtimeOptions } from './realtime.options.js';

export interface ContextInit {
  readonly options: ResolvedRealtimeOptions;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly metrics: ReturnType<typeof summarize>;
}

/** What every part of a node is made with, and where its failures go. */
export class NodeContext {
  readonly options: ResolvedRealtimeOptions;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly metrics: ReturnType<typeof summarize>;
  readonly nodeId: NodeId;
  readonly logger = new Logger('Realtime');
  private readonly failures: FailureLog;

  constructor(init: ContextInit) {
    this.options = init.options;
    this.engine = init.engine;
    this.clock = init.clock;
    this.metrics = init.metrics;
    this.nodeId = init.options.cluster.nodeId as NodeId;
    this.failures = new FailureLog(init.clock, (line, stack) => this.logger.error(line, stack));
  }

  /** Logged with its stack, at most once a second for each event and place that throws; told to `onError` each time. */
  report(error: unknown, context: Partial<ErrorContext> = {}): void {
    this.failures.say('Unexpected failure', context.event, error);
    const full = { event: undefined, connectionId: undefined, namespace: undefined, userId: undefined, ...context };
    try {
      const told: unknown = this.options.onError?.(error, full);
      if (told instanceof Promise) told.catch(this.onErrorFailed);
    } catch (failure) {
      this.onErrorFailed(failure);
    }
  }

  private readonly onErrorFailed = (failure: unknown): void => this.failures.say('onError threw', undefined, failure);

  /** Expected while the engine is away: counted there and said once, so only for those who debug. */
  readonly note = (error: unknown): void => {
    this.logger.debug(onOneLine(error instanceof Error ? `${error.message}${causeOf(error)}` : String(error)));
  };
}

/** Our own messages are made for clients: what the server said stands in the cause. */
function causeOf({ cause }: Error): string {
  return cause instanceof Error ? `: ${cause.message}` : '';
}
