import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
import { isObservable, firstValueFrom } from 'rxjs';
import { knowsGateways } from '../core/enhancers.js';

/**
 * Runs the global guards that know gateways on gateway messages. For Nest 11, which keeps global guards away from
 * gateways: prepend one instance to each gateway's guards. On 12 the guards see each message twice and count it once.
 */
export class GatewayGuards implements CanActivate {
  constructor(private readonly config: Pick<ApplicationConfig, 'getGlobalGuards'>) {}

  /** No promise unless a guard makes one: most apps have none of these guards, and it is asked for each message. */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    // Global guards are only known after all providers exist, so they are looked up by message.
    return this.admits(this.config.getGlobalGuards(), context);
  }

  private admits(guards: readonly CanActivate[], context: ExecutionContext): boolean | Promise<boolean> {
    for (const [index, guard] of guards.entries()) {
      if (!knowsGateways(guard)) continue;
      const verdict = guard.canActivate(context);
      if (typeof verdict !== 'boolean') return this.admitsLater(verdict, guards.slice(index + 1), context);
      if (!verdict) return false;
    }
    return true;
  }

  private async admitsLater(
    pending: Exclude<ReturnType<CanActivate['canActivate']>, boolean>,
    rest: readonly CanActivate[],
    context: ExecutionContext,
  ): Promise<boolean> {
    const verdict = await (isObservable(pending) ? firstValueFrom(pending) : pending);
    return verdict && this.admits(rest, context);
  }
}
