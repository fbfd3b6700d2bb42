import type { Incarnation } from '../core/ids.js';

/** What makes a request one: the same id of another principal, or of another device, is another request. */
export interface RequestKey {
  readonly principalId: string;
  /** The client's own label; without one its transport, so that such a request is known only while that lives. */
  readonly device: string;
  /** 128 random bits of the client, base64url. */
  readonly id: string;
}

export interface RequestClaim {
  /** Random for each claim: only its owner may settle it. */
  readonly token: string;
  readonly incarnation: Incarnation;
  /** What the request is sent to. Of one id it is always the same; absent, here or in the record (older nodes): not compared. */
  readonly event?: string | undefined;
  /** Replaces the claim of this token, if it is still the one that holds. */
  readonly takeOver?: TakeOver | undefined;
}

export interface TakeOver {
  readonly token: string;
  /** False for a claim whose handler certainly never ran: the attempt stays the same. */
  readonly mayHaveRun: boolean;
}

export type ClaimResult =
  /** The claim is the caller's: run the handler, then settle. `attempt` counts runs that may have begun, this one included. */
  | { readonly status: 'run'; readonly attempt: number }
  | { readonly status: 'claimed'; readonly token: string; readonly incarnation: Incarnation }
  /** `body` as it was settled. */
  | { readonly status: 'answered'; readonly body: string }
  /** It ran, and its answer is not kept (any more). */
  | { readonly status: 'applied' }
  /** The id was used for another event. */
  | { readonly status: 'other-event' }
  /** The principal has too many requests in the window. */
  | { readonly status: 'full'; readonly retryAfterMs: number };

export type Settlement =
  | { readonly kind: 'answer'; readonly body: string }
  /** It ran; the answer cannot be kept. */
  | { readonly kind: 'applied' }
  /** May run again, as the next attempt. */
  | { readonly kind: 'release' }
  /** The handler certainly did not run: as if the request had never come. */
  | { readonly kind: 'forget' };

export interface RequestStoreOptions {
  /** Milliseconds a request is known after its claim, and again after its answer. */
  readonly windowMs: number;
  /** Answers kept for each (principal, device): the newest. Older ones are `applied` until their window ends. */
  readonly maxPerDevice: number;
  /** Bytes of the answers kept for each principal, of all its devices: the newest. Clients name their devices. */
  readonly maxBytesPerUser: number;
}

/** Requests that a principal may have in one window: bounds what is left of them, about 200 bytes each. */
export const MAX_REQUESTS_IN_WINDOW = 30_000;

/**
 * Claims and answers of requests, for all nodes. Each method is atomic. Rejects with `UNAVAILABLE` when the storage is away;
 * then the claim may have been taken all the same.
 * Invariant: of all callers that claim one key at once, one gets `run`; a claim that was taken over cannot be settled.
 */
export interface RequestStore {
  claim(key: RequestKey, claim: RequestClaim): Promise<ClaimResult>;
  /** False if the claim is not the token's any more. May be repeated. */
  settle(key: RequestKey, token: string, settlement: Settlement): Promise<boolean>;
}
