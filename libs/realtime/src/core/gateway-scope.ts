import { AsyncLocalStorage } from 'node:async_hooks';

let storage: AsyncLocalStorage<true> | undefined;

/**
 * Whether code runs on behalf of a gateway message. Guards and interceptors read that from their context; a pipe has none,
 * so `httpOnly(SomePipe)` asks here. Costs nothing until somebody asks for it: async storage slows every promise down.
 */
export const gatewayScope = {
  /** From now on `run` leaves a trace. Called while enhancers are declared, before any message. */
  enable(): void {
    storage ??= new AsyncLocalStorage();
  },
  /** False: `run` would do nothing but call. */
  get isEnabled(): boolean {
    return storage !== undefined;
  },
  run<T>(task: () => T): T {
    return storage === undefined ? task() : storage.run(true, task);
  },
  isInside(): boolean {
    return storage?.getStore() === true;
  },
};
