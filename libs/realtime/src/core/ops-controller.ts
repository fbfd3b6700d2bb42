import 'reflect-metadata';
import { Controller, VERSION_NEUTRAL, type Type } from '@nestjs/common';

const OPS_CONTROLLER = 'realtime:ops-controller';

export interface OpsControllerOptions {
  readonly path: string;
  /** The app's own, such as `@Public()` for its global guard. */
  readonly decorators?: readonly ClassDecorator[] | undefined;
}

/**
 * Makes a class a controller that answers under its path whatever the app does with versions, is not throttled and does not
 * show in OpenAPI documents. Written as metadata, so that neither @nestjs/throttler nor @nestjs/swagger needs to be there.
 */
export function opsController(target: Type<unknown>, { path, decorators = [] }: OpsControllerOptions): void {
  Controller({ path, version: VERSION_NEUTRAL })(target);
  Reflect.defineMetadata(OPS_CONTROLLER, true, target);
  // What `@SkipThrottle()` and `@ApiExcludeController()` write.
  Reflect.defineMetadata('THROTTLER:SKIPdefault', true, target);
  Reflect.defineMetadata('swagger/apiExcludeController', [true], target);
  for (const decorate of decorators) decorate(target);
}

/** One of our own endpoints: probes and scrapes are not the app's traffic, whatever its throttlers are called. */
export function isOpsController(target: object): boolean {
  return Reflect.getMetadata(OPS_CONTROLLER, target) === true;
}
