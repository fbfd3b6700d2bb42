// What happened to numbered requests, and what of it must not have: pure, so that each check is shown to find its fault.

/** One request of one client, from its side. Times are Unix milliseconds of the one machine. */
export interface SentRequest {
  readonly id: string;
  readonly lane: string;
  readonly n: number;
  /** Each time it was put on a connection, and the node at its other end. */
  readonly tries: readonly { readonly at: number; readonly node: string }[];
  readonly ends: readonly RequestEnd[];
}

export interface RequestEnd {
  readonly at: number;
  readonly answer?: { readonly id: string; readonly n: number; readonly publication: string } | undefined;
  readonly code?: string | undefined;
}

export interface HandlerRun {
  readonly id: string;
  readonly attempt: number;
  readonly lane: string;
  readonly n: number;
}

export interface HeardPublication {
  readonly request: string;
  readonly publication: string | undefined;
  readonly lane: string;
  readonly n: number;
}

/** A node died, or lost its lease and lives, between these two moments. */
export interface NodeLoss {
  readonly node: string;
  readonly from: number;
  readonly until: number;
}

export interface NodeKill extends NodeLoss {
  readonly point: string;
}

export interface History {
  /** Requests that the clients were told to send: `lane n`. */
  readonly asked: readonly string[];
  readonly sent: readonly SentRequest[];
  /** In the order in which the handlers began. */
  readonly runs: readonly HandlerRun[];
  /** In the order of the room. */
  readonly heard: readonly HeardPublication[];
  readonly kills: readonly NodeKill[];
  /** Of nodes that live: each had another incarnation at the end. */
  readonly lapses: readonly NodeLoss[];
}

/** Every promise that the history breaks, in words. */
export function violations(history: History): string[] {
  return [settledOnce, ranAsAllowed, publishedOnce, inOrder].flatMap((check) => check(history));
}

/** Each request ends once, with its own answer or a code; UNKNOWN only after outages of more than four minutes. */
export function settledOnce({ asked, sent }: History): string[] {
  const ended = countBy(sent.flatMap(({ lane, n, ends }) => ends.map(() => `${lane} ${n}`)));
  const wrong = asked
    .filter((name) => ended.get(name) !== 1)
    .map((name) => `${name} was settled ${ended.get(name) ?? 0} times`);
  for (const { id, lane, n, ends } of sent) {
    for (const { answer, code } of ends) {
      if (code === 'UNKNOWN') wrong.push(`${lane} ${n} ended as UNKNOWN`);
      if (code === undefined && (answer?.id !== id || answer.n !== n)) wrong.push(`${lane} ${n} got another's answer`);
    }
  }
  return wrong;
}

/**
 * Each runs once; one that was in flight to a node at its death may run once more, as attempt 2. One that was in flight to a
 * node that lost its lease, too, and the node that lives may be the later one.
 */
export function ranAsAllowed({ sent, runs, kills, lapses }: History): string[] {
  const attempts = groupBy(runs, ({ id }) => id);
  const known = new Set(sent.map(({ id }) => id));
  const wrong = runs.filter(({ id }) => !known.has(id)).map(({ id }) => `${id} ran, and nobody sent it`);
  for (const request of sent) {
    const ran = (attempts.get(request.id) ?? []).map(({ attempt }) => attempt).join();
    const lost = [...kills, ...lapses].filter((loss) => wasInFlight(request, loss)).length;
    const hasLapsed = lapses.some((lapse) => wasInFlight(request, lapse));
    if (hasLapsed && isOnceEach(attempts.get(request.id) ?? [], 1 + lost)) continue;
    const allowed = lost > 0 ? ['1', '2', '1,2'] : ['1'];
    // Refused with a code: it may not have happened.
    if (request.ends.every(({ code }) => code !== undefined)) allowed.push('');
    if (!allowed.includes(ran))
      wrong.push(`${request.lane} ${request.n} ran as [${ran}], allowed: [${allowed.join('] [')}]`);
  }
  return wrong;
}

/** Each is in the room once, under the id that its answer names. */
export function publishedOnce({ sent, heard }: History): string[] {
  const publications = groupBy(heard, ({ request }) => request);
  return sent.flatMap(({ id, lane, n, ends }) => {
    const found = publications.get(id) ?? [];
    const answer = ends.find((end) => end.answer)?.answer;
    if (found.length > 1 || (answer && found.length === 0)) return [`${lane} ${n} was published ${found.length} times`];
    return answer && found[0]?.publication !== answer.publication ? [`${lane} ${n} was published as another`] : [];
  });
}

/** In each lane, runs do not go back, and publications only go on. */
export function inOrder({ sent, runs, heard, lapses }: History): string[] {
  // A node that lost its lease may run late what another one has run.
  const late = new Set(
    sent.filter((request) => lapses.some((lapse) => wasInFlight(request, lapse))).map(({ id }) => id),
  );
  const judged = runs.filter(({ id }) => !late.has(id));
  const ran = [...groupBy(judged, ({ lane }) => lane)].flatMap(([lane, list]) =>
    pairs(list.map(({ n }) => n))
      .filter(([before, after]) => after < before)
      .map(([before, after]) => `${lane} ran ${after} after ${before}`),
  );
  const published = [...groupBy(heard, ({ lane }) => lane)].flatMap(([lane, list]) =>
    pairs(list.map(({ n }) => n))
      .filter(([before, after]) => after <= before)
      .map(([before, after]) => `${lane} published ${after} after ${before}`),
  );
  return [...ran, ...published];
}

/** No attempt twice, and none above `most`. */
function isOnceEach(runs: readonly HandlerRun[], most: number): boolean {
  const attempts = runs.map(({ attempt }) => attempt);
  return attempts.length > 0 && new Set(attempts).size === attempts.length && Math.max(...attempts) <= most;
}

function wasInFlight({ tries, ends }: SentRequest, { node, from, until }: NodeLoss): boolean {
  const wasSentToIt = tries.some((one) => one.node === node && one.at <= until);
  return wasSentToIt && ends.every(({ at }) => at >= from);
}

function pairs(numbers: readonly number[]): [number, number][] {
  return numbers.slice(1).map((after, index) => [numbers[index] ?? 0, after]);
}

function countBy(names: readonly string[]): Map<string, number> {
  return new Map([...groupBy(names, (name) => name)].map(([name, list]) => [name, list.length]));
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
