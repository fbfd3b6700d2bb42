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

  // Global guards are only known after all providers exist, so they are looked up by message.
  async canActivate(context: ExecutionContext): Promise<boolean> {
    for (const guard of this.config.getGlobalGuards()) {
      if (!knowsGateways(guard)) continue;
      const verdict = guard.canActivate(context);
      if (!(await (isObservable(verdict) ? firstValueFrom(verdict) : verdict))) return false;
    }
    return true;
  }
}
