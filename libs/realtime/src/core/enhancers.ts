/**
 * Marks on guards, pipes and interceptors. `Symbol.for`, so that two copies of the package agree.
 * A guard that knows gateways is bound to them also where Nest keeps global guards away from gateways (version 11).
 */
export const KNOWS_GATEWAYS = Symbol.for('nestjs-realtime:knows-gateways');

/** The enhancer lets gateways pass by itself, so nobody needs to be warned that it is global. */
export const HTTP_ONLY = Symbol.for('nestjs-realtime:http-only');

export function knowsGateways(enhancer: unknown): boolean {
  return isMarked(enhancer, KNOWS_GATEWAYS);
}

/** For the warning at boot: on Nest 12 a global enhancer without a mark runs on gateway messages, wherever it was written for. */
export function isFitForGateways(enhancer: unknown): boolean {
  return isMarked(enhancer, KNOWS_GATEWAYS) || isMarked(enhancer, HTTP_ONLY);
}

function isMarked(enhancer: unknown, mark: symbol): boolean {
  return typeof enhancer === 'object' && enhancer !== null && Reflect.get(enhancer, mark) === true;
}
