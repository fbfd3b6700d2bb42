/**
 * Everything of this library that reaches below a public interface of Node, ws, Engine.IO, Socket.IO or Nest and has a public
 * way to fall back to. `docs/internals.md` says what each relies on.
 */
export const INTERNALS = [
  /** What a connection gets in one turn of the event loop is one write, past Engine.IO's packets. */
  'coalescedWrites',
  /** Small writes go to the TCP handle, past Node's streams. Needs `coalescedWrites`. */
  'directWrites',
  /** The answer to an upgrade and the first packet are one write. Needs `coalescedWrites`. */
  'firstWrites',
  /** A broadcast compresses each message once. Needs `coalescedWrites`. */
  'compression',
  /** A broadcast finds its recipients in a list. */
  'sharedBroadcasts',
  /** A message goes to the dispatcher without a middleware of Socket.IO. */
  'directDispatch',
  /** The request that opened an idle WebSocket is released. */
  'leanRequests',
  /** Maps and arrays of an idle connection have the size that they need. */
  'leanMaps',
  /** Handlers of a gateway are bound once, not for each client. */
  'sharedHandlers',
  /** A handler without pipes and interceptors runs past Nest's chain. */
  'directHandlers',
] as const;

export type Internal = (typeof INTERNALS)[number];

/** Which of them are in use. */
export type Internals = Readonly<Record<Internal, boolean>>;

const NEEDS: Partial<Record<Internal, Internal>> = {
  directWrites: 'coalescedWrites',
  firstWrites: 'coalescedWrites',
  compression: 'coalescedWrites',
};

/** Those of `names`, without those whose basis is missing. */
export function internals(names: Iterable<Internal>): Internals {
  const given = new Set(names);
  const isOn = (name: Internal): boolean => {
    const basis = NEEDS[name];
    return given.has(name) && (basis === undefined || given.has(basis));
  };
  return Object.fromEntries(INTERNALS.map((name) => [name, isOn(name)])) as Record<Internal, boolean>;
}

/** `names` alone, each with its basis. */
export function only(names: readonly Internal[]): Internals {
  return internals([...names, ...names.map((name) => NEEDS[name] ?? name)]);
}

export function namesOf(set: Internals): Internal[] {
  return INTERNALS.filter((name) => set[name]);
}

export const NO_INTERNALS = internals([]);
