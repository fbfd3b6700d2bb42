import type { Position } from 'nestjs-realtime-protocol';
import { isContinuous } from './recovery.js';
import { MAX_FORKS, type LogState } from './room-log.js';

type Forks = LogState['forks'];

/** A publication with its place in the log. */
export interface Numbered {
  readonly position: Position;
  readonly text: string;
}

/**
 * `opening`: nothing is known, the first thing heard or read is where it begins. `fetching`: a read is under way, or waits
 * for its next try, and what the channel brings waits for it.
 */
export type ContinuityPhase = 'opening' | 'live' | 'fetching' | 'closed';

export interface ContinuityState<M extends Numbered> {
  readonly phase: ContinuityPhase;
  /** Everything up to here was delivered, or told to be missing. Undefined only while opening. */
  readonly position: Position | undefined;
  /** Ended epochs of the log; they never change within an epoch. Undefined: nobody has asked yet. */
  readonly forks: Forks | undefined;
  readonly waiting: readonly M[];
  readonly waitingBytes: number;
  /** The read under way may be older than what made it necessary: read once more. */
  readonly isStale: boolean;
  /** Something came from the log that the channel should have brought. */
  readonly hasRepaired: boolean;
  /** Tries in a row that failed or brought nothing: the pause before the next one grows with them. */
  readonly attempt: number;
  /** Reads in a row that do not know what the channel spoke of. */
  readonly futile: number;
}

export type ContinuityEvent<M extends Numbered> =
  | { readonly type: 'message'; readonly message: M }
  /** Where the log stands. In the middle of things only a difference matters. */
  | { readonly type: 'state'; readonly log: LogState }
  /** What a `read` effect asked for. */
  | {
      readonly type: 'read';
      readonly after: number;
      readonly log: LogState;
      readonly messages: readonly M[];
      readonly hasMore: boolean;
    }
  | { readonly type: 'failed' }
  /** Something may have been lost: the subscription was new. */
  | { readonly type: 'resync' }
  | { readonly type: 'close' };

export type ContinuityEffect<M extends Numbered> =
  | { readonly type: 'deliver'; readonly messages: readonly M[] }
  /** To be told before what is delivered next. `position`: where delivery goes on after it. */
  | { readonly type: 'gap'; readonly code: 'NOT_FOUND' | 'UNKNOWN'; readonly position: Position }
  /** Read what comes after this offset; `attempt` above 0: after a pause. */
  | { readonly type: 'read'; readonly after: number; readonly attempt: number }
  | { readonly type: 'repaired' }
  | { readonly type: 'drop'; readonly count: number };

export interface ContinuityStep<M extends Numbered> {
  readonly state: ContinuityState<M>;
  readonly effects: readonly ContinuityEffect<M>[];
}

/** Most that waits for a read, by number and by bytes of text; beyond, all of it is read from the log instead. */
const MAX_WAITING = 1_000;
const MAX_WAITING_BYTES = 1_048_576;
/** Reads that do not know what the channel spoke of, before the log is believed. With pauses: some 2 s. */
const MAX_FUTILE = 6;

export function openingState<M extends Numbered>(): ContinuityState<M> {
  return {
    ...{ phase: 'opening', position: undefined, forks: undefined, waiting: [], waitingBytes: 0 },
    ...{ isStale: false, hasRepaired: false, attempt: 0, futile: 0 },
  };
}

/**
 * One hosted room with history: what its channel and its log say becomes one sequence for its members. Knows neither Redis
 * nor clients nor time. Invariants: what is delivered is the log's sequence from the first position on, nothing twice and
 * nothing out of order; where that is impossible – the log has forgotten, or another server took over that never had what
 * was delivered – a `gap` says so first, at exactly that place; there is at most one read at a time.
 */
export function follow<M extends Numbered>(state: ContinuityState<M>, event: ContinuityEvent<M>): ContinuityStep<M> {
  if (state.phase === 'closed') return { state, effects: [] };
  switch (event.type) {
    case 'message':
      return hear(state, event.message);
    case 'state':
      return compare(state, event.log);
    case 'read':
      return state.phase === 'fetching' ? take(state, event) : { state, effects: [] };
    case 'failed':
      return state.phase === 'fetching' ? fetch(state, state.attempt + 1) : { state, effects: [] };
    case 'resync':
      if (state.phase === 'live') return fetch(state, 0);
      return { state: state.phase === 'fetching' ? { ...state, isStale: true } : state, effects: [] };
    case 'close':
      return { state: { ...openingState<M>(), phase: 'closed' }, effects: [] };
    default:
      return event satisfies never;
  }
}

function hear<M extends Numbered>(state: ContinuityState<M>, message: M): ContinuityStep<M> {
  const { position, forks, phase } = state;
  const { epoch, offset } = message.position;
  if (!position) {
    return {
      state: { ...state, phase: 'live', position: message.position },
      effects: [{ type: 'deliver', messages: [message] }],
    };
  }
  if (epoch === position.epoch ? offset <= position.offset : forks && Object.hasOwn(forks, epoch)) {
    return { state, effects: [] };
  }
  if (phase === 'fetching') return { state: wait(state, message), effects: [] };
  if (epoch === position.epoch && offset === position.offset + 1) {
    return {
      state: { ...state, position: message.position },
      effects: [{ type: 'deliver', messages: [message] }],
    };
  }
  return fetch(wait(state, message), 0);
}

function wait<M extends Numbered>(state: ContinuityState<M>, message: M): ContinuityState<M> {
  const waitingBytes = state.waitingBytes + message.text.length;
  if (state.waiting.length >= MAX_WAITING || waitingBytes > MAX_WAITING_BYTES) {
    return { ...state, waiting: [], waitingBytes: 0, isStale: true };
  }
  return { ...state, waiting: [...state.waiting, message], waitingBytes };
}

function fetch<M extends Numbered>(state: ContinuityState<M>, attempt: number): ContinuityStep<M> {
  const after = state.position?.offset ?? 0;
  return {
    state: { ...state, phase: 'fetching', isStale: false, attempt },
    effects: [{ type: 'read', after, attempt }],
  };
}

function compare<M extends Numbered>(state: ContinuityState<M>, log: LogState): ContinuityStep<M> {
  const { position, phase } = state;
  const { epoch, offset, forks } = log;
  if (!position) return { state: { ...state, phase: 'live', position: { epoch, offset }, forks }, effects: [] };
  if (isOutdated(state, log)) return { state, effects: [] };
  if (epoch === position.epoch) {
    const known = { ...state, forks };
    if (offset <= position.offset) return { state: known, effects: [] };
    return phase === 'live' ? fetch(known, 0) : { state: { ...known, isStale: true }, effects: [] };
  }
  if (phase === 'fetching') return { state: { ...state, isStale: true }, effects: [] };
  if (offset === position.offset && isContinuous(position, log)) {
    return { state: { ...state, position: { epoch, offset }, forks }, effects: [] };
  }
  return fetch(state, 0);
}

/** What was read comes from a server that has been replaced. */
function isOutdated<M extends Numbered>(state: ContinuityState<M>, log: LogState): boolean {
  return state.forks !== undefined && Object.hasOwn(state.forks, log.epoch);
}

type Read<M extends Numbered> = Extract<ContinuityEvent<M>, { type: 'read' }>;

function take<M extends Numbered>(state: ContinuityState<M>, read: Read<M>): ContinuityStep<M> {
  const { position } = state;
  const { log } = read;
  if (!position || isOutdated(state, log)) return fetch(state, state.attempt + 1);
  const from = whereItGoesOn({ position, forks: state.forks }, log);
  const effects: ContinuityEffect<M>[] = [];
  if (from.code) effects.push({ type: 'gap', code: from.code, position: from.position });
  const begun = { ...state, position: from.position, forks: log.forks };
  if (from.position.offset < read.after) {
    const again = fetch(begun, 0);
    return { state: again.state, effects: [...effects, ...again.effects] };
  }
  const messages = read.messages.filter((message) => message.position.offset > from.position.offset);
  if (messages.length > 0) effects.push({ type: 'deliver', messages });
  const end = read.hasMore ? (messages.at(-1)?.position.offset ?? from.position.offset) : log.offset;
  const reached = { epoch: log.epoch, offset: Math.max(end, from.position.offset) };
  const isProgress = reached.offset > position.offset || reached.epoch !== position.epoch;
  const repaired = { ...begun, position: reached, hasRepaired: state.hasRepaired || messages.length > 0 };
  return settle(repaired, effects, { hasMore: read.hasMore, isProgress });
}

/** Where delivery goes on in this log, and why that is not where it stopped. */
function whereItGoesOn(
  { position, forks }: { readonly position: Position; readonly forks: Forks | undefined },
  log: LogState,
): { readonly position: Position; readonly code?: 'NOT_FOUND' | 'UNKNOWN' } {
  const { epoch, start } = log;
  if (isContinuous(position, log)) {
    if (position.offset >= start) return { position: { epoch, offset: position.offset } };
    return { position: { epoch, offset: start }, code: 'NOT_FOUND' };
  }
  const end = commonEnd(position, forks, log);
  return { position: { epoch, offset: Math.max(end, start) }, code: 'UNKNOWN' };
}

/** The last offset up to which what was delivered is in this log, too. */
function commonEnd(position: Position, forks: Forks | undefined, log: LogState): number {
  const known: Forks = { ...log.forks, [log.epoch]: log.offset };
  const own = { ...forks, [position.epoch]: position.offset };
  const ends = Object.entries(own).flatMap(([epoch, end]) => {
    const other = Object.hasOwn(known, epoch) ? known[epoch] : undefined;
    return other === undefined ? [] : [Math.min(end, other)];
  });
  if (ends.length > 0) return Math.max(...ends);
  // Nothing in common is another log, and all of it is new – unless one of the two has forgotten: then nobody can say.
  const isCertain =
    Object.keys(log.forks).length === 0 || (forks !== undefined && Object.keys(log.forks).length < MAX_FORKS);
  return isCertain ? log.start : log.offset;
}

/** After a read: what waited goes out if its turn has come; whatever is still missing is read next. */
function settle<M extends Numbered>(
  state: ContinuityState<M>,
  effects: ContinuityEffect<M>[],
  { hasMore, isProgress }: { readonly hasMore: boolean; readonly isProgress: boolean },
): ContinuityStep<M> {
  const { ready, rest, position } = hasMore ? { ready: [], rest: state.waiting, ...state } : release(state);
  if (ready.length > 0) effects.push({ type: 'deliver', messages: ready });
  const isMissing = rest.length > 0 && !hasMore;
  const futile = !isMissing || isProgress || ready.length > 0 ? 0 : state.futile + 1;
  const isHopeless = futile >= MAX_FUTILE;
  if (isHopeless) effects.push({ type: 'drop', count: rest.length });
  const waiting = isHopeless ? [] : rest;
  const waitingBytes = waiting.reduce((sum, { text }) => sum + text.length, 0);
  const next = { ...state, position, waiting, waitingBytes, futile: isHopeless ? 0 : futile };
  if (hasMore || state.isStale || waiting.length > 0) {
    const again = fetch(next, futile > 0 || (hasMore && !isProgress) ? state.attempt + 1 : 0);
    return { state: again.state, effects: [...effects, ...again.effects] };
  }
  if (state.hasRepaired) effects.push({ type: 'repaired' });
  return { state: { ...next, phase: 'live', hasRepaired: false, attempt: 0 }, effects };
}

function release<M extends Numbered>(state: ContinuityState<M>) {
  const ready: M[] = [];
  const rest: M[] = [];
  let { position } = state;
  for (const message of [...state.waiting].sort((a, b) => a.position.offset - b.position.offset)) {
    const { epoch, offset } = message.position;
    if (epoch !== position?.epoch) {
      if (!state.forks || !Object.hasOwn(state.forks, epoch)) rest.push(message);
    } else if (offset === position.offset + 1) {
      ready.push(message);
      position = message.position;
    } else if (offset > position.offset) {
      rest.push(message);
    }
  }
  return { ready, rest, position };
}
