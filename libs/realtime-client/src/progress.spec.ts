import fc from 'fast-check';
import type { JoinReply, Position, Publication } from 'nestjs-realtime-protocol';
import { Progress, type Delivery } from './progress.js';

const live = (offset?: number, epoch = 'e'): Delivery => {
  const place = offset === undefined ? {} : { offset, epoch };
  return ['message', `${epoch}${offset}`, { room: 'r', ...place }];
};
const kept = (...offsets: number[]): Publication[] =>
  offsets.map((offset) => ({ event: 'message', data: `e${offset}`, id: `id${offset}`, offset }));
const reply = (change: Partial<JoinReply>): JoinReply => ({ room: 'r', ...change });
const at = (offset: number, epoch = 'e'): Position => ({ epoch, offset });
const texts = (deliveries: readonly Delivery[]): unknown[] => deliveries.map(([, data]) => data);

/** A room that has been delivered up to here, and asks for what it missed. */
function asking(position: Position | undefined): Progress {
  const progress = new Progress();
  progress.position = position;
  progress.hold();
  return progress;
}

describe('when a publication is heard', () => {
  it.each([
    ['the next one', at(4), live(5), true, at(5)],
    ['one after a hole: it was meant for others', at(4), live(9), true, at(9)],
    ['the same again', at(5), live(5), false, at(5)],
    ['an older one', at(5), live(3), false, at(5)],
    ['one of another epoch, whatever its number', at(5), live(2, 'f'), true, at(2, 'f')],
    ['one without a position', at(5), live(), true, at(5)],
    ['the first', undefined, live(7), true, at(7)],
  ])('%s', (_, before, delivery, isDelivered, after) => {
    const progress = new Progress();
    progress.position = before;
    expect([progress.hear(delivery), progress.position]).toEqual([isDelivered, after]);
  });
});

describe('when a join is answered', () => {
  it.each([
    ['all that was missed, then what was heard meanwhile', 2, [3, 4], [4, 5], 4, ['e3', 'e4', 'e5']],
    ['nothing that was heard before', 3, [3, 4], [], 4, ['e4']],
    ['nothing, if nothing was missed', 4, [], [], 4, []],
    ['what was heard meanwhile, if all that was missed was for others', 2, [], [6], 4, ['e6']],
  ])('delivers %s', (_, before, missed, early, offset, expected) => {
    const progress = asking(at(before));
    for (const one of early) expect(progress.hear(live(one))).toBe(false);
    const { gap, deliveries } = progress.answer(
      reply({ recovered: true, position: at(offset), publications: kept(...missed) }),
    );
    expect([gap, texts(deliveries)]).toEqual([undefined, expected]);
    expect(progress.position).toEqual(at(Math.max(offset, ...early)));
    expect(progress.hear(live(4))).toBe(false);
  });

  it('goes on in another epoch, and leaves out what was heard of the one before', () => {
    const progress = asking(at(2));
    progress.hear(live(3));
    const { deliveries } = progress.answer(reply({ recovered: true, position: at(4, 'f'), publications: kept(3, 4) }));
    expect(texts(deliveries)).toEqual(['e3', 'e4']);
    expect(deliveries.map(([, , { epoch }]) => epoch)).toEqual(['f', 'f']);
    expect(progress.position).toEqual(at(4, 'f'));
  });

  it.each([
    ['the server has forgotten it', reply({ recovered: false, position: at(9) }), 'NOT_FOUND', at(9)],
    ['it is another log', reply({ recovered: false, position: at(1, 'f') }), 'UNKNOWN', at(1, 'f')],
    ['the room keeps nothing any more', reply({}), 'UNKNOWN', undefined],
  ])('tells the gap when %s', (_, answer, code, position) => {
    const progress = asking(at(2));
    expect(progress.answer(answer)).toEqual({ gap: { position, code }, deliveries: [] });
    expect(progress.position).toEqual(position);
  });

  it('delivers after a gap what was heard meanwhile, though it is older than the answer', () => {
    const progress = asking(at(2));
    progress.hear(live(8));
    const { gap, deliveries } = progress.answer(reply({ recovered: false, position: at(9) }));
    expect([gap?.code, texts(deliveries), progress.position]).toEqual(['NOT_FOUND', ['e8'], at(9)]);
  });

  it('tells no gap to who asked for nothing', () => {
    const progress = new Progress();
    progress.hear(live(10));
    expect(progress.answer(reply({ position: at(9) }))).toEqual({ gap: undefined, deliveries: [] });
    expect(progress.position).toEqual(at(10));
  });
});

describe('when the server tells a gap', () => {
  it('goes on from there', () => {
    const progress = new Progress();
    progress.position = at(50);
    expect([progress.interrupt(at(3, 'f')), progress.hear(live(4, 'f'))]).toEqual([true, true]);
  });

  it('waits for the answer to a join, which knows more, and forgets what was heard before the gap', () => {
    const progress = asking(at(2));
    progress.hear(live(60));
    expect(progress.interrupt(at(3, 'f'))).toBe(false);
    const { deliveries } = progress.answer(reply({ recovered: true, position: at(3, 'f'), publications: kept(3) }));
    expect(texts(deliveries)).toEqual(['e3']);
  });
});

/** A room as its server sees it: a log that counts on over epochs, and a connection that keeps order. */
class World {
  readonly log: { data: string; position: Position }[] = [];
  readonly got: string[] = [];
  readonly progress = new Progress();
  /** On their way to the client, in order. */
  #wire: (Delivery | JoinReply)[] = [];
  #isConnected = false;
  #isMember = false;
  #epochs = 0;
  #isAsking = false;
  #asked: Position | undefined;
  gaps = 0;

  constructor(
    /** As in the room of a user: it is heard before the join is answered. */
    private readonly isHeardAtOnce: boolean,
  ) {}

  get #top(): Position {
    return this.log.at(-1)?.position ?? { epoch: 'e0', offset: 0 };
  }

  publish(): void {
    const position = { epoch: `e${this.#epochs}`, offset: this.#top.offset + 1 };
    const data = `p${position.offset}`;
    this.log.push({ data, position });
    if (this.#isMember) this.#wire.push(['message', data, { room: 'r', ...position }]);
  }

  failOver(): void {
    this.#epochs += 1;
  }

  connect(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#isMember = this.isHeardAtOnce;
    const { position } = this.progress;
    if (position) this.progress.hold();
    this.#asked = position;
    this.#isAsking = true;
  }

  answer(): void {
    if (!this.#isAsking) return;
    this.#isAsking = false;
    const asked = this.#asked;
    this.#isMember = true;
    const position = { ...this.#top, epoch: `e${this.#epochs}` };
    const missed = this.log.filter(({ position: { offset } }) => asked && offset > asked.offset);
    const publications = missed.map(({ data, position: { offset } }) => ({ event: 'message', data, id: data, offset }));
    this.#wire.push(asked ? { room: 'r', position, recovered: true, publications } : { room: 'r', position });
  }

  receive(): void {
    const next = this.#wire.shift();
    if (!next) return;
    if ('room' in next) {
      const { gap, deliveries } = this.progress.answer(next);
      if (gap) this.gaps += 1;
      this.got.push(...deliveries.map(([, data]) => String(data)));
    } else if (this.progress.hear(next)) this.got.push(String(next[1]));
  }

  lose(): void {
    this.#wire = [];
    this.#isConnected = this.#isMember = this.#isAsking = false;
    this.progress.release();
  }

  settle(): void {
    this.lose();
    this.connect();
    this.answer();
    for (let n = 0; n < 1_000; n += 1) this.receive();
  }
}

type Step = 'publish' | 'connect' | 'answer' | 'receive' | 'lose' | 'failOver';

describe('when a room lives through anything', () => {
  const steps = fc.array(
    fc.constantFrom<Step>(
      'publish',
      'publish',
      'publish',
      'connect',
      'answer',
      'receive',
      'receive',
      'receive',
      'lose',
      'failOver',
    ),
    { maxLength: 100, size: 'max' },
  );

  it.each([false, true])(
    'delivers each publication once, in order, from the first on (heard at once: %s)',
    (isHeardAtOnce) => {
      fc.assert(
        fc.property(steps, (all) => {
          const world = new World(isHeardAtOnce);
          world.settle();
          const first = world.log.length;
          for (const step of all as (keyof Pick<
            World,
            'publish' | 'connect' | 'answer' | 'receive' | 'lose' | 'failOver'
          >)[])
            world[step]();
          world.settle();
          expect(world.got).toEqual(world.log.slice(first).map(({ data }) => data));
          expect(world.gaps).toBe(0);
        }),
        { numRuns: 2_000 },
      );
    },
  );
});
