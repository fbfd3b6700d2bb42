import type { Incarnation } from './ids.js';

/** Under which incarnation this node may write now. */
export interface IncarnationSource {
  /**
   * The current incarnation. A node whose last confirmed renewal is older than a lease (it was stopped or cut off) takes
   * a new one here, before the caller writes, and tells `onChange` listeners, who re-add what lives.
   */
  current(): Incarnation;
  /** Returns its own removal. */
  onChange(listener: (next: Incarnation, previous: Incarnation) => void): () => void;
}
