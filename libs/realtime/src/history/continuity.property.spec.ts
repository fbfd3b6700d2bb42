import fc from 'fast-check';
import type { Position } from 'nestjs-realtime-protocol';
import { follow, openingState, type ContinuityEvent, type Numbered } from './continuity.js';
import { isContinuous, isRecoverable } from './recovery.js';
import type { LogState } from './room-log.js';

type Entry = Numbered;

/** A log as Redis keeps it: offsets count on over epochs, a promoted replica has lost the last entries, old ones are trimmed. */
class ModelLog {
  entries: readonly Entry[] = [];
  /** What a replica that is behind still has. */
  private past: { state: LogState; entries: readonly Entry[] }[] = [];
  state: LogState = { epoch: 'e0', offset: 0, start: 0, forks: {} };
  /** A failover may bring them back; nobody misses them. */
  readonly erased = new Set<string>();
  private epochs = 0;
  private published = 0;

  publish(): Entry {
    const position = { epoch: this.state.epoch, offset: this.state.offset + 1 };
    const entry = { position, text: `p${(this.published += 1)}` };
    this.write({ offset: position.offset }, [...this.entries, entry]);
    return entry;
  }

  /** Another server takes over that lacks the last writes, the log's own book-keeping included, and counts on. */
  failOver(lost: number): void {
    const back = this.past.splice(-lost, lost)[0];
    if (back && lost > 0) {
      this.entries = back.entries.filter(({ position }) => position.offset > back.state.start);
      this.state = back.state;
    }
    const { epoch, offset } = this.state;
    const forks = Object.entries({ ...this.state.forks, [epoch]: offset }).slice(-8);
    this.write({ epoch: `e${(this.epochs += 1)}`, forks: Object.fromEntries(forks) });
  }

  lose(): void {
    this.write({ epoch: `e${(this.epochs += 1)}`, offset: 0, start: 0, forks: {} }, []);
    this.past = [];
  }

  trim(keep: number): void {
    const start = Math.max(this.state.start, this.state.offset - keep);
    this.write(
      { start },
      this.entries.filter(({ position }) => position.offset > start),
    );
  }

  erase(at: number): void {
    const { start, offset } = this.state;
    const erased = start + 1 + (at % Math.max(1, offset - start));
    for (const entry of this.entries) if (entry.position.offset === erased) this.erased.add(entry.text);
    this.write(
      {},
      this.entries.filter(({ text }) => !this.erased.has(text)),
    );
  }

  private write(change: Partial<LogState>, entries: readonly Entry[] = this.entries): void {
    this.past.push({ state: this.state, entries: this.entries });
    this.state = { ...this.state, ...change };
    this.entries = entries;
  }

  read(after: number, limit: number): ContinuityEvent<Entry> {
    const found = this.entries.filter(({ position }) => position.offset > after);
    const messages = found.slice(0, limit);
    return { type: 'read', after, log: this.state, messages, hasMore: found.length > limit };
  }
}

/** What a member of the room holds, judged against the log at the moment it is told. */
class Member {
  position: Position | undefined;
  readonly texts: string[] = [];

  constructor(private readonly log: ModelLog) {}

  get(messages: readonly Entry[]): void {
    for (const { position, text } of messages) {
      expect(this.texts).not.toContain(text);
      this.texts.push(text);
      const from = this.position;
      this.position = position;
      if (!from || !isContinuous(from, this.log.state) || !isContinuous(position, this.log.state)) continue;
      expect(position.offset).toBeGreaterThan(from.offset);
      const between = this.log.entries.filter(
        ({ position: { offset }, text }) =>
          offset > from.offset && offset < position.offset && !this.log.erased.has(text),
      );
      expect(between).toEqual([]);
    }
  }

  gap(position: Position): void {
    this.position = position;
  }
}

class World {
  readonly log = new ModelLog();
  readonly member = new Member(this.log);
  state = openingState<Entry>();
  /** On the way to this node. */
  channel: Entry[] = [];
  /** Carried out by the log, the answer is on its way. */
  answers: ContinuityEvent<Entry>[] = [];
  asked: { after: number } | undefined;
  isDeaf = false;
  gaps = 0;

  apply(event: ContinuityEvent<Entry>): void {
    const before = this.state;
    const { state, effects } = follow(before, event);
    this.state = state;
    for (const effect of effects) {
      if (effect.type === 'deliver') this.member.get(effect.messages);
      if (effect.type === 'read') {
        expect(this.asked).toBeUndefined();
        expect(this.answers).toEqual([]);
        this.asked = { after: effect.after };
      }
      if (effect.type === 'gap' && event.type === 'read') {
        this.gaps += 1;
        expect(before.position && isRecoverable(before.position, event.log)).toBe(false);
        this.member.gap(effect.position);
      }
    }
  }

  publish(): void {
    const entry = this.log.publish();
    if (!this.isDeaf) this.channel.push(entry);
  }

  hear(at: number): void {
    const [message] = this.channel.splice(at % Math.max(1, this.channel.length), 1);
    if (message) this.apply({ type: 'message', message });
  }

  readLog(isFailure: boolean): void {
    if (!this.asked) return;
    const { after } = this.asked;
    this.asked = undefined;
    this.answers.push(isFailure ? { type: 'failed' } : this.log.read(after, 3));
  }

  answer(): void {
    const [event] = this.answers.splice(0, 1);
    if (event) this.apply(event);
  }

  /** The connection is whole again and everything arrives. */
  heal(): void {
    this.isDeaf = false;
    const late = this.channel.splice(0);
    for (const message of late) this.apply({ type: 'message', message });
    this.apply({ type: 'resync' });
    for (let round = 0; this.state.phase === 'fetching' && round < 200; round += 1) {
      this.readLog(false);
      this.answer();
    }
  }
}

const named = (name: string, run: (world: World) => void) => Object.assign(run, { toString: () => name });
const step = fc.oneof(
  { weight: 10, arbitrary: fc.constant(named('publish', (w) => w.publish())) },
  { weight: 8, arbitrary: fc.constant(named('hear', (w) => w.hear(0))) },
  { weight: 2, arbitrary: fc.nat(5).map((at) => named(`hear out of order ${at}`, (w) => w.hear(at))) },
  { weight: 2, arbitrary: fc.nat(5).map((at) => named(`lose ${at}`, (w) => w.channel.splice(at, 1))) },
  {
    weight: 2,
    arbitrary: fc.nat(5).map((at) => named(`repeat ${at}`, (w) => w.channel.push(...w.channel.slice(at, at + 1)))),
  },
  { weight: 6, arbitrary: fc.constant(named('read', (w) => w.readLog(false))) },
  { weight: 1, arbitrary: fc.constant(named('fail to read', (w) => w.readLog(true))) },
  { weight: 6, arbitrary: fc.constant(named('answer', (w) => w.answer())) },
  { weight: 1, arbitrary: fc.constant(named('resync', (w) => w.apply({ type: 'resync' }))) },
  { weight: 1, arbitrary: fc.constant(named('check', (w) => w.apply({ type: 'state', log: w.log.state }))) },
  { weight: 1, arbitrary: fc.boolean().map((deaf) => named(`deaf ${deaf}`, (w) => (w.isDeaf = deaf))) },
  { weight: 1, arbitrary: fc.nat(4).map((lost) => named(`fail over, losing ${lost}`, (w) => w.log.failOver(lost))) },
  { weight: 1, arbitrary: fc.nat(6).map((keep) => named(`trim to ${keep}`, (w) => w.log.trim(keep))) },
  { weight: 1, arbitrary: fc.nat(6).map((at) => named(`erase ${at}`, (w) => w.log.erase(at))) },
  { weight: 1, arbitrary: fc.constant(named('lose the log', (w) => w.log.lose())) },
);
const steps = fc.array(step, { maxLength: 80, size: 'max' });

describe('when anything happens to the channel and to the log', () => {
  it('delivers the sequence of the log, or says where it could not', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = new World();
        world.apply({ type: 'state', log: world.log.state });
        world.member.gap(world.log.state);
        for (const run of all) run(world);
        world.heal();
        const { epoch, offset } = world.log.state;
        expect(world.state).toMatchObject({ phase: 'live', position: { epoch, offset }, waiting: [] });
        const { position: reached } = world.member;
        const missed = world.log.entries.filter(
          ({ position, text }) => position.offset > (reached?.offset ?? 0) && !world.log.erased.has(text),
        );
        expect(missed).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('tells nothing where nothing was lost for good', () => {
    const harmless = steps.map((all) => all.filter((run) => !/losing [1-9]|trim|lose the log/.test(String(run))));
    fc.assert(
      fc.property(harmless, (all) => {
        const world = new World();
        world.apply({ type: 'state', log: world.log.state });
        for (const run of all) run(world);
        world.heal();
        expect(world.gaps).toBe(0);
        expect(world.member.texts).toEqual(expect.arrayContaining(world.log.entries.map(({ text }) => text)));
      }),
      { numRuns: 300 },
    );
  });
});
