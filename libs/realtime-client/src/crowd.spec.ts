import { IDLE, reduce, type ConnectionEvent, type ConnectionState } from './connection-state.js';

const CLIENTS = 10_000;
const ATTEMPTS = 10;
const seed = Number(process.env['SEED'] ?? 20_260_101);

/** mulberry32: a failure is replayed with the seed that is printed. */
function seeded(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** How many of `times` fall into the busiest window of `widthMs`, as a share of all. */
function busiest(times: readonly number[], widthMs: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  let [most, start] = [0, 0];
  for (const [end, time] of sorted.entries()) {
    while (time - (sorted[start] ?? 0) >= widthMs) start += 1;
    most = Math.max(most, end - start + 1);
  }
  return most / sorted.length;
}

/**
 * A clock by hand: each client is at its own time, its timer fires when it is due, and the server is away at every attempt.
 * Attempt n of all clients is compared as if the outage had held them back until then: delays, not sums of delays.
 */
function ours(): number[][] {
  const random = seeded(seed);
  const delays = Array.from({ length: ATTEMPTS }, (): number[] => []);
  for (let client = 0; client < CLIENTS; client += 1) {
    let now = 0;
    let state: ConnectionState = IDLE;
    const step = (event: ConnectionEvent): void => {
      ({ state } = reduce(state, event, { now, random: random() }));
    };
    step({ type: 'connect' });
    step({ type: 'opened' });
    now = 60_000;
    for (const attempt of delays) {
      step({ type: 'lost', error: { code: 'UNAVAILABLE', message: 'gone', retryable: true } });
      attempt.push(state.retryInMs ?? Number.NaN);
      now += state.retryInMs ?? 0;
      step({ type: 'due' });
    }
  }
  return delays;
}

/** `backo2` of socket.io-client 4.8: 1 s · 2^n, ± 50 %, and then the cap of 5 s. */
function stock(): number[][] {
  const random = seeded(seed);
  return Array.from({ length: ATTEMPTS }, (_, attempt) =>
    Array.from({ length: CLIENTS }, () => {
      const base = 1_000 * 2 ** attempt;
      const rand = random();
      const spread = Math.floor(rand * 0.5 * base);
      return Math.min((Math.floor(rand * 10) & 1) === 0 ? base - spread : base + spread, 5_000);
    }),
  );
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`.padStart(8);
const column = (times: readonly number[] = []): string =>
  `${percent(busiest(times, 500))} ${percent(busiest(times, 1_000))}`;

describe(`when 10 000 clients lose one server (seed ${seed})`, () => {
  const [here, there] = [ours(), stock()];
  const attempt = (n: number): readonly number[] => here[n - 1] ?? [];

  it('spreads their first attempts: the busiest 500 ms has at most 30 % of them', () => {
    const rows = here.map(
      (times, index) => `${String(index + 1).padStart(7)}  ${column(times)}   ${column(there[index])}`,
    );
    const head = 'attempt  ours: 500 ms 1 s    Socket.IO: 500 ms 1 s';
    process.stdout.write(`busiest window of each attempt, share of ${CLIENTS} clients\n${head}\n${rows.join('\n')}\n`);
    expect(attempt(1)).toHaveLength(CLIENTS);
    expect(busiest(attempt(1), 500)).toBeLessThanOrEqual(0.3);
  });

  it('spreads them over at least 80 % of the window', () => {
    const late = attempt(1).filter((delayMs) => delayMs > 1_600).length / CLIENTS;
    expect(late).toBeGreaterThan(0.15);
    expect(Math.max(...attempt(1)) - Math.min(...attempt(1))).toBeGreaterThan(0.8 * 2_000);
  });

  it('never loses the jitter: of attempt 10 no second has more than 10 %', () => {
    expect(busiest(attempt(10), 1_000)).toBeLessThanOrEqual(0.1);
    expect(Math.max(...attempt(10))).toBeLessThanOrEqual(20_000);
  });

  it('is compared with a stock client, which comes back as one', () => {
    expect(busiest(there[9] ?? [], 1)).toBe(1);
  });
});
