// What one room's publishers sent, its log holds and its members heard, and what of it must not be: pure, so that each check is shown to find its fault.
import type { Position } from 'nestjs-realtime-protocol';

export interface SentPublication {
  /** Travels as its data, and is nobody else's. */
  readonly name: string;
  /** Its publications leave in their order, `n`. */
  readonly publisher: string;
  readonly n: number;
  readonly outcome: SentOutcome;
}

export type SentOutcome =
  | { readonly status: 'acknowledged'; readonly position: Position }
  /** It may have happened: its node died, or said so. */
  | { readonly status: 'unknown' }
  /** It has not happened, and will not. */
  | { readonly status: 'refused'; readonly code: string };

export interface LoggedPublication {
  readonly offset: number;
  readonly name: string;
}

export interface RoomLogSeen extends Position {
  /** Ended epochs and the last offset of each. */
  readonly forks: Readonly<Record<string, number>>;
  /** All there ever were, also those that were trimmed later; `at`: when it was appended, in Unix milliseconds. */
  readonly entries: readonly (LoggedPublication & { readonly at: number })[];
}

export type HeardEvent =
  /** The first join: everything after this position is owed. */
  | { readonly kind: 'joined'; readonly position: Position }
  | { readonly kind: 'message'; readonly position: Position; readonly name: string }
  /** A join that went on from a position; what it missed came before anything newer. */
  | {
      readonly kind: 'recovered';
      readonly from: Position;
      readonly position: Position;
      readonly publications: readonly LoggedPublication[];
    }
  /** Told, in a join's reply (`recovered: false`) or while connected (`gap`), that what is up to `position` does not come. */
  | ToldEvent;

export interface ToldEvent {
  readonly kind: 'told';
  readonly how: 'join' | 'gap';
  readonly from: Position;
  readonly position: Position;
  /** Unix milliseconds of the one machine. */
  readonly at: number;
}

export interface Hearing {
  readonly member: string;
  readonly events: readonly HeardEvent[];
}

export interface RoomHistory {
  readonly room: string;
  /** Publications that somebody who is away may miss and still recover. */
  readonly recoverable: number;
  readonly log: RoomLogSeen;
  readonly sent: readonly SentPublication[];
  readonly hearings: readonly Hearing[];
}

const CHECKS = {
  loggedOnce,
  acknowledgedTruly,
  refusedTruly,
  sentBySomebody,
  inOrderOfPublisher,
  heardOnce,
  heardInOrder,
  heardAsLogged,
  heardAll,
  gapsAreTold,
  toldTruly,
};

/** Every promise that the room breaks, in words, behind the name of the check that found it. */
export function violations(history: RoomHistory): string[] {
  return Object.entries(CHECKS).flatMap(([name, check]) => check(history).map((found) => `${name}: ${found}`));
}

/** Offsets count up by one; nothing is in the log twice. */
export function loggedOnce({ log }: RoomHistory): string[] {
  const holes = pairs(log.entries.map(({ offset }) => offset))
    .filter(([before, after]) => after !== before + 1)
    .map(([before, after]) => `offset ${after} follows ${before}`);
  const twice = doubled(log.entries.map(({ name }) => name)).map((name) => `${name} is in the log twice`);
  return [...holes, ...twice];
}

/** What was acknowledged is in the log, at that position. */
export function acknowledgedTruly({ sent, log }: RoomHistory): string[] {
  const offsets = new Map(log.entries.map(({ name, offset }) => [name, offset]));
  return sent.flatMap(({ name, outcome }) => {
    if (outcome.status !== 'acknowledged') return [];
    const { position } = outcome;
    const found = offsets.get(name);
    if (found === undefined) return [`${name} was acknowledged at ${text(position)} and is not in the log`];
    if (found !== position.offset) return [`${name} was acknowledged at ${text(position)} and is at ${found}`];
    return isKnown(position, log)
      ? []
      : [`${name} was acknowledged at ${text(position)}, which no epoch of the log has`];
  });
}

export function refusedTruly({ sent, log }: RoomHistory): string[] {
  const logged = new Set(log.entries.map(({ name }) => name));
  return sent.flatMap(({ name, outcome }) =>
    outcome.status === 'refused' && logged.has(name) ? [`${name} was refused (${outcome.code}) and is in the log`] : [],
  );
}

export function sentBySomebody({ sent, log }: RoomHistory): string[] {
  const known = new Set(sent.map(({ name }) => name));
  return log.entries
    .filter(({ name }) => !known.has(name))
    .map(({ name, offset }) => `nobody sent ${name} (${offset})`);
}

/** One publisher's are in the log as it sent them. */
export function inOrderOfPublisher({ sent, log }: RoomHistory): string[] {
  const byName = new Map(sent.map((one) => [one.name, one]));
  const last = new Map<string, SentPublication>();
  return log.entries.flatMap(({ name }) => {
    const one = byName.get(name);
    if (!one) return [];
    const before = last.get(one.publisher);
    last.set(one.publisher, one);
    return before && before.n > one.n ? [`${name} comes after ${before.name}`] : [];
  });
}

export function heardOnce({ hearings, log }: RoomHistory): string[] {
  return hearings.flatMap((hearing) =>
    doubled(heardBy(hearing, log).map(({ name }) => name)).map((name) => `${hearing.member} heard ${name} twice`),
  );
}

export function heardInOrder({ hearings, log }: RoomHistory): string[] {
  return hearings.flatMap((hearing) =>
    pairs(heardBy(hearing, log).map(({ offset }) => offset))
      .filter(([before, after]) => after < before)
      .map(([before, after]) => `${hearing.member} heard ${after} after ${before}`),
  );
}

/** Each position carries what the log has there. */
export function heardAsLogged({ hearings, log }: RoomHistory): string[] {
  const names = new Map(log.entries.map(({ offset, name }) => [offset, name]));
  return hearings.flatMap((hearing) =>
    heardBy(hearing, log)
      .filter(({ offset, name }) => names.get(offset) !== name)
      .map(({ offset, name }) => `${hearing.member} heard ${name} at ${offset}: there is ${names.get(offset)}`),
  );
}

/** All from the first join on, but for what a member was told that it would miss, and what a recovery left out (`gapsAreTold`). */
export function heardAll(history: RoomHistory): string[] {
  return missing(history, (hearing, { offset }) => !isIn(offset, spans(hearing, history.log, 'recovered')));
}

/** Nothing is missing between the two ends of a recovery. */
export function gapsAreTold(history: RoomHistory): string[] {
  return missing(history, (hearing, { offset }) => isIn(offset, spans(hearing, history.log, 'recovered')));
}

/** Who is told of a gap has really missed what the room had left behind by then, or was ahead of the log. */
export function toldTruly({ hearings, recoverable, log }: RoomHistory): string[] {
  return hearings.flatMap(({ member, events }) =>
    events.flatMap((event) => {
      if (event.kind !== 'told' || !isKnown(event.from, log)) return [];
      const pusher = log.entries.find(({ offset }) => offset === event.from.offset + recoverable + 1);
      const span = `${text(event.from)} to ${text(event.position)}`;
      return pusher && pusher.at <= event.at
        ? []
        : [`${member} was told of a gap (${event.how}) from ${span}, which is kept`];
    }),
  );
}

/** What each member heard, told and was told, one line each: what a failure prints. */
export function describeRoom({ room, sent, log, hearings }: RoomHistory): string {
  const forks = Object.entries(log.forks).map(([epoch, offset]) => `${epoch}..${offset}`);
  const outcome = (one: SentOutcome): string =>
    one.status === 'acknowledged' ? text(one.position) : one.status === 'refused' ? one.code : 'unknown';
  return [
    `room ${room}, now ${text(log)}, forks [${forks.join(', ')}]`,
    `sent: ${sent.map((one) => `${one.name} → ${outcome(one.outcome)}`).join('; ')}`,
    `log: ${log.entries.map(({ offset, name }) => `${offset} ${name}`).join('; ')}`,
    ...hearings.map(({ member, events }) => `${member}: ${events.map(describeEvent).join('; ')}`),
  ].join('\n');
}

function describeEvent(event: HeardEvent): string {
  const at = text(event.position);
  if (event.kind === 'message') return `${at} ${event.name}`;
  if (event.kind === 'joined') return `joined at ${at}`;
  if (event.kind === 'told') return `told of a gap (${event.how}) ${text(event.from)} → ${at}`;
  const names = event.publications.map(({ offset, name }) => `${offset} ${name}`);
  return `recovered ${text(event.from)} → ${at} [${names.join(', ')}]`;
}

function missing(
  { hearings, log }: RoomHistory,
  counts: (hearing: Hearing, entry: LoggedPublication) => boolean,
): string[] {
  return hearings.flatMap((hearing) => {
    const [first] = hearing.events;
    if (!first) return [];
    const heard = new Set(heardBy(hearing, log).map(({ offset }) => offset));
    const told = spans(hearing, log, 'told');
    const lacks = log.entries.filter(({ offset }) => offset > first.position.offset && !heard.has(offset));
    return lacks
      .filter((entry) => !isIn(entry.offset, told) && counts(hearing, entry))
      .map(({ offset, name }) => `${hearing.member} did not hear ${name} (${offset})`);
  });
}

/** Without what a failover took back, as far as the member was told of it. */
function heardBy({ events }: Hearing, log: RoomLogSeen): LoggedPublication[] {
  let heard: (LoggedPublication & Position)[] = [];
  for (const event of events) {
    const { epoch } = event.position;
    if (event.kind === 'told') heard = heard.filter((position) => isKnown(position, log));
    else if (event.kind === 'message') heard.push({ ...event.position, name: event.name });
    else if (event.kind === 'recovered') heard.push(...event.publications.map((one) => ({ ...one, epoch })));
  }
  return heard;
}

/** Offsets after `from` up to and with the event's position; of an epoch that ended before it, after the end. */
function spans({ events }: Hearing, log: RoomLogSeen, kind: 'recovered' | 'told'): [number, number][] {
  return events.flatMap((event) => {
    if (event.kind !== kind) return [];
    const { epoch, offset } = event.from;
    const from = epoch === log.epoch ? offset : Math.min(offset, log.forks[epoch] ?? 0);
    return [[from, event.position.offset] satisfies [number, number]];
  });
}

function isIn(offset: number, list: readonly [number, number][]): boolean {
  return list.some(([from, to]) => offset > from && offset <= to);
}

function isKnown({ epoch, offset }: Position, log: RoomLogSeen): boolean {
  const end = epoch === log.epoch ? log.offset : log.forks[epoch];
  return end !== undefined && offset <= end;
}

function text({ epoch, offset }: Position): string {
  return `${epoch}/${offset}`;
}

function pairs(numbers: readonly number[]): [number, number][] {
  return numbers.slice(1).map((after, index) => [numbers[index] ?? 0, after]);
}

function doubled(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size === seen.add(name).size);
}
