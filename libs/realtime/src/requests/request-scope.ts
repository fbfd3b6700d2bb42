import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import type { RequestKey } from './request-store.js';

/** The request that a handler runs for. */
export interface RequestInfo {
  /** The client's id: the key under which other effects of the handler are made once. Unique for a principal's device. */
  readonly id: string;
  /** 1, or more if an earlier run may have begun: its node died, or it failed with an error that may be tried again. */
  readonly attempt: number;
}

let storage: AsyncLocalStorage<RequestScope> | undefined;

/** One run of a request's handler, for all code that it calls. Costs nothing until the first one: async storage slows every promise down. */
export class RequestScope {
  readonly info: RequestInfo;
  /** Publications of this run so far, for each list of rooms. */
  private readonly published = new Map<string, number>();
  private isOver = false;

  constructor(
    private readonly key: RequestKey,
    attempt: number,
  ) {
    this.info = { id: key.id, attempt };
  }

  run<T>(task: () => T): T {
    storage ??= new AsyncLocalStorage();
    return storage.run(this, task);
  }

  /** The handler has answered: what it left running publishes for itself. */
  end(): void {
    this.isOver = true;
  }

  nextPublicationId(rooms: readonly string[]): string | undefined {
    if (this.isOver) return undefined;
    const target = rooms.join(' ');
    const index = this.published.get(target) ?? 0;
    this.published.set(target, index + 1);
    const { principalId, device, id } = this.key;
    const name = JSON.stringify([principalId, device, id, target, index]);
    return createHash('sha256').update(name).digest('base64url').slice(0, 22);
  }
}

/** The request that the calling code runs for, if any. */
export function currentRequest(): RequestInfo | undefined {
  return storage?.getStore()?.info;
}

/**
 * The id of the next publication of the running request to these rooms: the same in every run of the request, as long as
 * the handler publishes to a room in the same order. Undefined outside requests, and after their answer.
 */
export function nextPublicationId(rooms: readonly string[]): string | undefined {
  return storage?.getStore()?.nextPublicationId(rooms);
}
