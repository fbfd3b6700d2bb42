import { Inject, Injectable, Optional, type ExecutionContext } from '@nestjs/common';
import { ThrottlerGuard, type ThrottlerLimitDetail } from '@nestjs/throttler';
import { KNOWS_GATEWAYS } from '../../core/enhancers.js';
import { REALTIME_METRICS, noMetrics, type RealtimeMetrics } from '../../core/metrics.js';
import type { Principal } from '../../core/principal.js';
import { isOpsController } from '../../core/ops-controller.js';
import { RealtimeError } from '../../core/realtime-error.js';

/** What a gateway's client is to the throttler: enough for trackers that were written for HTTP requests. */
interface ThrottledClient {
  readonly ip: string;
  readonly headers: Record<string, unknown>;
  readonly user: Principal | undefined;
  readonly client: unknown;
}

interface SocketLike {
  readonly data?: { readonly principal?: Principal | undefined } | undefined;
  readonly handshake?: { readonly address?: string; readonly headers?: Record<string, unknown> } | undefined;
}

/** A message has no response: there is nowhere to put headers. Throttlers before 6.7.1 set them without asking. */
const NO_RESPONSE = { header: (): void => undefined };

/** Messages that were counted: Nest 12 runs a global guard that is also bound to the gateway twice. */
const counted = new WeakSet<ExecutionContext>();

/**
 * `@nestjs/throttler` for HTTP and gateways, as the app's one `APP_GUARD`. HTTP is what `ThrottlerGuard` makes of it.
 * On gateways `@Throttle()` and `@SkipThrottle()` count by principal, or by address where nobody is signed in, for each handler;
 * the refusal is `RATE_LIMITED` with `retryAfterMs`. Contexts that are neither (GraphQL, microservices) pass unseen.
 */
@Injectable()
export class RealtimeThrottlerGuard extends ThrottlerGuard {
  readonly [KNOWS_GATEWAYS] = true;

  @Optional()
  @Inject(REALTIME_METRICS)
  protected readonly metrics: RealtimeMetrics = noMetrics;

  protected override async shouldSkip(context: ExecutionContext): Promise<boolean> {
    const type = context.getType();
    if (type === 'http') return isOpsController(context.getClass()) || super.shouldSkip(context);
    if (type !== 'ws' || counted.has(context)) return true;
    counted.add(context);
    return super.shouldSkip(context);
  }

  protected override getRequestResponse(context: ExecutionContext): ReturnType<ThrottlerGuard['getRequestResponse']> {
    if (context.getType() !== 'ws') return super.getRequestResponse(context);
    const client = context.switchToWs().getClient<SocketLike>();
    const request: ThrottledClient = {
      ip: client.handshake?.address ?? 'unknown',
      headers: client.handshake?.headers ?? {},
      user: client.data?.principal,
      client,
    };
    return { req: { ...request }, res: NO_RESPONSE };
  }

  protected override async getTracker(request: Record<string, unknown>, context?: ExecutionContext): Promise<string> {
    if (context?.getType() !== 'ws') return super.getTracker(request);
    const principal = request['user'] as Principal | undefined;
    return principal && principal.isAnonymous !== true
      ? `user:${principal.id}`
      : `ip:${await super.getTracker(request)}`;
  }

  protected override async throwThrottlingException(
    context: ExecutionContext,
    detail: ThrottlerLimitDetail,
  ): Promise<void> {
    this.metrics.throttled('throttle');
    if (context.getType() !== 'ws') return super.throwThrottlingException(context, detail);
    const hasOwnMessage = !Array.isArray(this.options) && this.options.errorMessage !== undefined;
    const message = hasOwnMessage ? await this.getErrorMessage(context, detail) : undefined;
    throw new RealtimeError('RATE_LIMITED', message, { retryAfterMs: detail.timeToBlockExpire * 1_000 });
  }
}
