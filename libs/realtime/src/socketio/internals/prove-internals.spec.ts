import { INTERNALS, NO_INTERNALS, internals, namesOf, only, type Internal, type Internals } from './internals.js';
import { proveInternals, type Trial } from './prove-internals.js';

const ALL = internals(INTERNALS);

function trialOf(
  covers: readonly Internal[],
  fault: (set: Internals) => string | undefined,
): Trial & { runs: string[] } {
  const runs: string[] = [];
  return {
    covers,
    runs,
    run: async (set) => {
      runs.push(namesOf(set).join('+'));
      const why = fault(set);
      if (why !== undefined) throw new Error(why);
    },
  };
}

const without = (...names: Internal[]): Internal[] =>
  namesOf(internals(INTERNALS.filter((one) => !names.includes(one))));

describe('what reaches below a public interface', () => {
  it('is used when a trial with all of it went well, which runs once', async () => {
    const trial = trialOf(INTERNALS, () => undefined);
    expect(await proveInternals(ALL, [trial])).toEqual({ internals: ALL, doubts: [] });
    expect(trial.runs).toEqual([INTERNALS.join('+')]);
  });

  it.each(INTERNALS)('is left out when it fails alone, with what stands on it: %s', async (culprit) => {
    const proof = await proveInternals(ALL, [trialOf(INTERNALS, (set) => (set[culprit] ? 'broken' : undefined))]);
    expect(namesOf(proof.internals)).toEqual(without(culprit));
    expect(proof.doubts.find(({ name }) => name === culprit)?.why).toBe('broken');
  });

  it('is tried with its basis, and without what else is wanted', async () => {
    const trial = trialOf(['directWrites'], (set) => (set.directWrites ? 'broken' : undefined));
    const { internals: proved } = await proveInternals(ALL, [trial]);
    expect(namesOf(proved)).toEqual(without('directWrites'));
    expect(trial.runs).toEqual(['coalescedWrites+directWrites', '', 'coalescedWrites+directWrites', '']);
  });

  it('is left out whole when only all of it together fails', async () => {
    const covers: Internal[] = ['leanRequests', 'leanMaps'];
    const trial = trialOf(covers, (set) => (set.leanMaps && set.leanRequests ? 'together' : undefined));
    const { internals: proved, doubts } = await proveInternals(ALL, [trial]);
    expect(namesOf(proved)).toEqual(without(...covers));
    expect(doubts).toEqual(covers.map((name) => ({ name, why: 'together' })));
  });

  it('is left out whole when the trial fails without it, too', async () => {
    const trial = trialOf(['leanMaps'], () => 'no loopback');
    const { doubts } = await proveInternals(ALL, [trial]);
    expect(doubts).toEqual([{ name: 'leanMaps', why: 'without it, too: no loopback' }]);
    expect(trial.runs).toEqual(['leanMaps', '']);
  });

  it('is not tried when nobody wants it', async () => {
    const trial = trialOf(['leanMaps'], () => 'broken');
    const wanted = internals(['sharedHandlers']);
    expect(await proveInternals(wanted, [trial])).toEqual({ internals: wanted, doubts: [] });
    expect(trial.runs).toEqual([]);
  });

  it('is left out when nothing comes of the trial, which is told to end', async () => {
    const ended: boolean[] = [];
    const silent: Trial = {
      covers: ['leanMaps'],
      run: (set, signal) =>
        new Promise((resolve) => {
          if (!set.leanMaps) resolve();
          signal.addEventListener('abort', () => ended.push(set.leanMaps));
        }),
    };
    const { doubts } = await proveInternals(ALL, [silent], { deadlineMs: 1, searchMs: 20 });
    expect(doubts.map(({ name }) => name)).toEqual(['leanMaps']);
    expect(doubts[0]?.why).toMatch(/^nothing came of it within \d+ ms$/);
    expect(ended).toEqual([true, false, true, false]);
  });

  it('falls with its basis', () => {
    expect(internals(['directWrites', 'firstWrites', 'compression'])).toEqual(NO_INTERNALS);
    expect(namesOf(only(['firstWrites']))).toEqual(['coalescedWrites', 'firstWrites']);
  });
});
