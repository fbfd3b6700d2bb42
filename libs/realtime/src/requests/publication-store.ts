/** Milliseconds in which a second publication with the same id is known as a repeat. */
export const PUBLICATION_WINDOW_MS = 300_000;

export interface NamedPublication {
  readonly room: string;
  /** Ids of one publisher do not meet those of another. */
  readonly publisher: string;
  readonly id: string;
  /** As the room's channel carries it. */
  readonly payload: string;
}

export type PublishOutcome =
  | 'published'
  /** The same was published before: nobody got it again. */
  | 'repeat'
  /** The id was used for something else: nobody got this. */
  | 'conflict';

/**
 * Publications with an id: each is put on its room's channel once in `PUBLICATION_WINDOW_MS`, whichever nodes try. Rejects
 * with `UNAVAILABLE` when the storage is away, `LIMIT_EXCEEDED` for a payload that is too large; after `UNAVAILABLE` it may
 * have been published, and trying again is safe.
 */
export interface PublicationStore {
  publishOnce(publication: NamedPublication): Promise<PublishOutcome>;
}
