/**
 * Channels between nodes, without `keyPrefix`. Invariant: `#` is in no room's name, and what stands behind a tag's colon
 * cannot end it, so no two of these ever meet.
 */

/** Of a room: presence diffs (`p…`) and messages (`m…`) in one order. Scripts publish on it too. */
export const roomChannel = (room: string): string => `{${room}}:ch`;

/** Payload: the JSON of one `LoggedCommand`. */
export const COMMANDS_CHANNEL = '{#nodes}:commands';
/** Where nodes up to 0.1 say and hear commands. */
export const OLDER_COMMANDS_CHANNEL = '{nodes}:commands';

/** Questions to all nodes. */
export const REQUESTS_CHANNEL = '{#nodes}:requests';
/** Answers to one of them. */
export const answersChannel = (nodeId: string): string => `{#nodes}:answers:${nodeId}`;

/** Where one bus hears itself. */
export const probeChannel = (id: string): string => `{#nodes}:probe:${id}`;
