import { Logger } from '@nestjs/common';
import type { Clock } from './core/clock.js';
import type { NodeId } from './core/ids.js';
import type { summarize } from './core/metrics-summary.js';
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

  constructor(init: ContextInit) {
    this.options = init.options;
    this.engine = init.engine;
    this.clock = init.clock;
    this.metrics = init.metrics;
    this.nodeId = init.options.cluster.nodeId as NodeId;
  }

  /** Logged with its stack, and told to `onError`. */
  report(error: unknown, context: Partial<ErrorContext> = {}): void {
    const where = context.event === undefined ? '' : ` in '${context.event.slice(0, 64)}'`;
    this.logger.error(`Unexpected failure${where}`, error instanceof Error ? error.stack : String(error));
    const full = { event: undefined, connectionId: undefined, namespace: undefined, userId: undefined, ...context };
    try {
      this.options.onError?.(error, full);
    } catch (failure) {
      this.logger.error('onError threw', failure instanceof Error ? failure.stack : String(failure));
    }
  }

  /** Expected while the engine is away: counted there and said once, so only for those who debug. */
  readonly note = (error: unknown): void => {
    this.logger.debug(error instanceof Error ? error.message : String(error));
  };
}
