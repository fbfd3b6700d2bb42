/** Resolves in the next turn of the event loop. Part of a test's story (what is sent in which turn), never a wait for an effect. */
export { setImmediate as nextTurn } from 'node:timers/promises';
