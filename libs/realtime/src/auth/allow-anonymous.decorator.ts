import 'reflect-metadata';

/** A text, so that two copies of this library in one app agree. */
const ALLOW_ANONYMOUS_KEY = 'realtime:allow-anonymous';

/**
 * On a gateway class: its namespace also admits connections without a token. Their principal has `isAnonymous: true`,
 * no roles and an id of its own. A bad token is refused all the same.
 */
export function AllowAnonymous(): ClassDecorator {
  return (target) => Reflect.defineMetadata(ALLOW_ANONYMOUS_KEY, true, target);
}

/** Whether this class carries `@AllowAnonymous()` itself: a subclass with a namespace of its own does not inherit it. */
export function isAnonymousAllowed(gateway: object): boolean {
  return Reflect.getOwnMetadata(ALLOW_ANONYMOUS_KEY, gateway) === true;
}
