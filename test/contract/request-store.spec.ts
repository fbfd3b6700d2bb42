import { RealtimeError } from 'nestjs-realtime';
import {
  RequestRunner,
  noMetrics,
  randomId,
  systemClock,
  type Incarnation,
  type RequestAnswer,
  type RequestKey,
  type RequestStore,
} from '../support/engines.js';
import { GENEROUS_MS, eventually } from '../support/eventually.js';
import { MAX_ANSWERS, MAX_BYTES, REQUEST_STORES, type RequestStores } from './request-stores.js';
import { EVERY_ENGINE } from '../support/redis-kinds.js';

const ran = new Set<string>();
const ONE = 'one' as Incarnation;
const TWO = 'two' as Incarnation;

function newKey(over: Partial<RequestKey> = {}): RequestKey {
  return { principalId: `ada}{ ${randomId()}`, device: 'tab \ud800', id: randomId(16), ...over };
}

describe.each(Object.entries(REQUEST_STORES))('requests in %s', (name, create) => {
  let stores: RequestStores;
  let here: RequestStore;
  let there: RequestStore;

  beforeAll(async () => {
    stores = await create();
    [here, there] = stores.requests;
    ran.add(name);
  });
  afterAll(() => stores[Symbol.asyncDispose]());

  async function answer(key: RequestKey, body: string): Promise<void> {
    const token = randomId();
    expect(await here.claim(key, { token, incarnation: ONE })).toEqual({ status: 'run', attempt: 1 });
    expect(await here.settle(key, token, { kind: 'answer', body })).toBe(true);
  }

  describe('when a request is claimed', () => {
    it('gives it to one of many, and tells the others who has it', async () => {
      const key = newKey();
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          (index % 2 === 0 ? here : there).claim(key, { token: `t${index}`, incarnation: index % 2 === 0 ? ONE : TWO }),
        ),
      );
      const winner = results.findIndex(({ status }) => status === 'run');
      const incarnation = winner % 2 === 0 ? ONE : TWO;
      expect(results.filter(({ status }) => status === 'run')).toEqual([{ status: 'run', attempt: 1 }]);
      const others = results.filter((_, index) => index !== winner);
      expect(others).toEqual(others.map(() => ({ status: 'claimed', token: `t${winner}`, incarnation })));
    });

    it('knows it for its principal and device alone', async () => {
      const key = newKey();
      await answer(key, '"mine"');
      const others = [newKey({ ...key, principalId: 'bob' }), newKey({ ...key, device: 'phone' }), newKey()];
      for (const other of others) {
        expect(await there.claim(other, { token: 't', incarnation: TWO })).toEqual({ status: 'run', attempt: 1 });
      }
    });
  });

  describe('when a request was answered', () => {
    it('gives the record, as it was written, on every node', async () => {
      const key = newKey();
      const body = JSON.stringify({ list: [], text: 'a|b', n: 1e21, nothing: null });
      await answer(key, body);
      expect(await there.claim(key, { token: 'u', incarnation: TWO })).toEqual({ status: 'answered', body });
    });

    it('keeps the newest answers of a device, and of older ones that they happened', async () => {
      const keys = Array.from({ length: MAX_ANSWERS + 2 }, () => newKey({ principalId: `many ${name}` }));
      for (const key of keys) await answer(key, JSON.stringify(key.id));
      const results = await Promise.all(keys.map((key) => there.claim(key, { token: 'u', incarnation: TWO })));
      expect(results.map(({ status }) => status)).toEqual([
        ...['applied', 'applied'],
        ...Array.from({ length: MAX_ANSWERS }, () => 'answered'),
      ]);
    });

    it('keeps so many bytes of answers of a principal, however it names its devices, and of older ones that they happened', async () => {
      const principalId = `renames itself ${name}`;
      const body = JSON.stringify('x'.repeat(MAX_BYTES / 4 - 2));
      const keys = Array.from({ length: 12 }, (_, nth) => newKey({ principalId, device: `device ${nth}` }));
      const other = newKey({ principalId: `another ${name}` });
      await answer(other, body);
      for (const key of keys) await answer(key, body);
      const results = await Promise.all(keys.map((key) => there.claim(key, { token: 'u', incarnation: TWO })));
      expect(results.map(({ status }) => status)).toEqual([
        ...Array.from({ length: 8 }, () => 'applied'),
        ...Array.from({ length: 4 }, () => 'answered'),
      ]);
      expect(await there.claim(other, { token: 'u', incarnation: TWO })).toEqual({ status: 'answered', body });
    });

    it('keeps as much again when the window has passed', async () => {
      const principalId = `comes back ${name}`;
      const body = JSON.stringify('x'.repeat(MAX_BYTES / 2 - 2));
      const begun: RequestKey[] = [];
      // Each window frees what it held: else the count would only grow, and in the end keep nothing.
      for (let nth = 0; nth < 5; nth += 1) {
        const key = newKey({ principalId });
        await stores.hasty.claim(key, { token: 't', incarnation: ONE });
        await stores.hasty.settle(key, 't', { kind: 'answer', body });
        begun.push(key);
        await eventually(async () =>
          expect(await stores.hasty.claim(key, { token: 'u', incarnation: TWO })).toMatchObject({ status: 'run' }),
        );
        await stores.hasty.settle(key, 'u', { kind: 'forget' });
      }
      const last = [newKey({ principalId }), newKey({ principalId })];
      for (const key of last) await answer(key, body);
      for (const key of last)
        expect(await there.claim(key, { token: 'u', incarnation: TWO })).toMatchObject({ status: 'answered' });
    });

    it('forgets it when the window has passed', async () => {
      const key = newKey();
      await stores.hasty.claim(key, { token: 't', incarnation: ONE });
      await stores.hasty.settle(key, 't', { kind: 'answer', body: '1' });
      await eventually(async () =>
        expect(await stores.hasty.claim(key, { token: 'u', incarnation: TWO })).toEqual({ status: 'run', attempt: 1 }),
      );
    });

    it('says that it happened when the answer could not be kept', async () => {
      const key = newKey();
      await here.claim(key, { token: 't', incarnation: ONE });
      await here.settle(key, 't', { kind: 'applied' });
      expect(await there.claim(key, { token: 'u', incarnation: TWO })).toEqual({ status: 'applied' });
    });
  });

  describe('when one id comes for another event', () => {
    const claimOf = (event: string | undefined, token = 'u') => ({ token, incarnation: TWO, event });
    const other = { status: 'other-event' };

    it('gives neither the record nor the run of the first, whatever has become of it', async () => {
      const key = newKey();
      await here.claim(key, { token: 't', incarnation: ONE, event: 'pay' });
      expect(await there.claim(key, claimOf('refund'))).toEqual(other);
      await here.settle(key, 't', { kind: 'release' });
      expect(await there.claim(key, claimOf('refund'))).toEqual(other);
      expect(await there.claim(key, claimOf('pay'))).toEqual({ status: 'run', attempt: 2 });
      await there.settle(key, 'u', { kind: 'answer', body: '"paid"' });
      expect(await here.claim(key, claimOf('refund'))).toEqual(other);
      expect(await here.claim(key, claimOf('pay'))).toEqual({ status: 'answered', body: '"paid"' });
    });

    it('knows it of what happened and has no answer', async () => {
      const key = newKey();
      await here.claim(key, { token: 't', incarnation: ONE, event: 'pay' });
      await here.settle(key, 't', { kind: 'applied' });
      expect(await there.claim(key, claimOf('refund'))).toEqual(other);
      expect(await there.claim(key, claimOf('pay'))).toEqual({ status: 'applied' });
    });

    it('takes it for the new event if the first certainly did not run, or its window has passed', async () => {
      const key = newKey();
      await here.claim(key, { token: 't', incarnation: ONE, event: 'pay' });
      await here.settle(key, 't', { kind: 'forget' });
      expect(await there.claim(key, claimOf('refund'))).toEqual({ status: 'run', attempt: 1 });
      expect(await here.claim(key, claimOf('pay'))).toEqual(other);
      const late = newKey();
      await stores.hasty.claim(late, { token: 't', incarnation: ONE, event: 'pay' });
      await eventually(async () =>
        expect(await stores.hasty.claim(late, claimOf('refund'))).toEqual({ status: 'run', attempt: 1 }),
      );
    });

    it('takes the record of a node that knows no events, and gives its own to one', async () => {
      const key = newKey();
      await answer(key, '"of before"');
      expect(await there.claim(key, claimOf('pay'))).toEqual({ status: 'answered', body: '"of before"' });
      const own = newKey();
      await here.claim(own, { token: 't', incarnation: ONE, event: 'pay' });
      await here.settle(own, 't', { kind: 'answer', body: '"ours"' });
      expect(await there.claim(own, claimOf(undefined))).toEqual({ status: 'answered', body: '"ours"' });
    });
  });

  describe('when a request may run again', () => {
    it('counts what may have run, and not what certainly did not', async () => {
      const key = newKey();
      const attempts: unknown[] = [];
      for (const kind of ['forget', 'release', 'forget', 'release', 'answer'] as const) {
        attempts.push(await here.claim(key, { token: 't', incarnation: ONE }));
        await here.settle(key, 't', kind === 'answer' ? { kind, body: '1' } : { kind });
      }
      expect(attempts).toEqual([1, 1, 2, 2, 3].map((attempt) => ({ status: 'run', attempt })));
    });

    it('lets one of many take a dead claim over, and the dead cannot settle it', async () => {
      const key = newKey();
      await here.claim(key, { token: 'dead', incarnation: ONE });
      const takeOver = { token: 'dead', mayHaveRun: true };
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) => there.claim(key, { token: `t${index}`, incarnation: TWO, takeOver })),
      );
      expect(results.filter(({ status }) => status === 'run')).toEqual([{ status: 'run', attempt: 2 }]);
      expect(await here.settle(key, 'dead', { kind: 'answer', body: '"late"' })).toBe(false);
      expect(await there.claim(key, { token: 'u', incarnation: TWO })).toMatchObject({ status: 'claimed' });
    });

    it('does not count a claim that nobody ran', async () => {
      const key = newKey();
      await here.claim(key, { token: 'lost', incarnation: ONE });
      const takeOver = { token: 'lost', mayHaveRun: false };
      expect(await here.claim(key, { token: 't', incarnation: ONE, takeOver })).toEqual({ status: 'run', attempt: 1 });
    });
  });

  describe('when two nodes run requests', () => {
    const alive = new Set([ONE, TWO]);
    const runnerOf = (store: RequestStore, own: Incarnation, waitMs = GENEROUS_MS) =>
      new RequestRunner({
        ...{ store, clock: systemClock, metrics: noMetrics, windowMs: 3_600_000, waitMs },
        owners: {
          held: () => Promise.resolve(alive.has(own) ? own : undefined),
          hasLapsed: (incarnation) => Promise.resolve(!alive.has(incarnation)),
        },
      });
    const valueOf = (ack: unknown): RequestAnswer => ({
      ack,
      settlement: { kind: 'answer', body: JSON.stringify(ack) },
    });

    it('runs a request once, and every duplicate waits for that answer', async () => {
      const key = newKey();
      let runs = 0;
      let finish: (answer: RequestAnswer) => void = () => undefined;
      const work = (): Promise<RequestAnswer> => {
        runs += 1;
        return new Promise((resolve) => (finish = resolve));
      };
      const runners = [runnerOf(here, ONE), runnerOf(there, TWO)] as const;
      const answers = [...runners, ...runners].map((runner) => runner.run(key, work));
      await eventually(() => expect(runs).toBe(1));
      finish(valueOf({ n: 1 }));
      expect(await Promise.all(answers)).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }, { n: 1 }]);
      expect(runs).toBe(1);
    });

    const runners = (): [RequestRunner, RequestRunner] => [runnerOf(here, ONE), runnerOf(there, TWO)];

    it('refuses a request whose id is used for another event, while that runs and afterwards', async () => {
      const key = newKey();
      const [one, two] = runners();
      let finish: (answer: RequestAnswer) => void = () => undefined;
      const begun = new Promise<void>((resolve) => {
        const work = (): Promise<RequestAnswer> => {
          resolve();
          return new Promise((settle) => (finish = settle));
        };
        void one.run(key, work, 'pay').catch(() => undefined);
      });
      await begun;
      const never = (): Promise<RequestAnswer> => Promise.reject(new Error('must not run'));
      const areRefused = async (): Promise<void> => {
        for (const runner of [one, two])
          await expect(runner.run(key, never, 'refund')).rejects.toMatchObject({
            code: 'BAD_REQUEST',
            retryable: false,
          });
      };
      await areRefused();
      finish(valueOf('paid'));
      expect(await two.run(key, never, 'pay')).toBe('paid');
      await areRefused();
    });

    it('runs again, as attempt 2, when the claimant is dead', async () => {
      const key = newKey();
      const dead = 'dead' as Incarnation;
      await here.claim(key, { token: 't', incarnation: dead });
      expect(await runnerOf(there, TWO).run(key, (attempt) => Promise.resolve(valueOf(attempt)))).toBe(2);
    });

    it('takes its own claim back when only the answer to it was lost', async () => {
      const key = newKey();
      await here.claim(key, { token: 'lost', incarnation: ONE });
      expect(await runnerOf(here, ONE).run(key, (attempt) => Promise.resolve(valueOf(attempt)))).toBe(1);
    });

    it('gives up waiting in time, and refuses to run what it may not claim', async () => {
      const key = newKey();
      await here.claim(key, { token: 't', incarnation: ONE });
      const never = (): Promise<RequestAnswer> => Promise.reject(new Error('must not run'));
      await expect(runnerOf(there, TWO, 50).run(key, never)).rejects.toMatchObject({ code: 'TIMEOUT' });
      const cutOff = runnerOf(there, 'cut off' as Incarnation);
      await expect(cutOff.run(newKey(), never)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    });

    it('runs nothing while the storage is away, and frees what it may have claimed', async () => {
      const key = newKey();
      let isAway = true;
      const flaky: RequestStore = {
        claim: async (...args) => {
          const result = await here.claim(...args);
          if (isAway) throw new RealtimeError('UNAVAILABLE');
          return result;
        },
        settle: (...args) => here.settle(...args),
      };
      const runner = runnerOf(flaky, ONE);
      const never = (): Promise<RequestAnswer> => Promise.reject(new Error('must not run'));
      await expect(runner.run(key, never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      isAway = false;
      expect(await runnerOf(there, TWO).run(key, (attempt) => Promise.resolve(valueOf(attempt)))).toBe(1);
      runner.close();
    });

    it('records the answer later when the storage is away meanwhile', async () => {
      const key = newKey();
      let failures = 2;
      const flaky: RequestStore = {
        claim: (...args) => here.claim(...args),
        settle: (...args) => (failures-- > 0 ? Promise.reject(new Error('away')) : here.settle(...args)),
      };
      expect(await runnerOf(flaky, ONE).run(key, () => Promise.resolve(valueOf('done')))).toBe('done');
      const never = (): Promise<RequestAnswer> => Promise.reject(new Error('must not run'));
      expect(await runnerOf(there, TWO).run(key, never)).toBe('done');
    });
  });
});

it('ran against every engine', () => expect([...ran].sort()).toEqual([...EVERY_ENGINE].sort()));
