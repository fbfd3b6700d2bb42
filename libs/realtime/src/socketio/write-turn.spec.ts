import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FrameSequence } from './frame-sequence.js';
import { WriteTurn, type TurnMember } from './write-turn.js';

class Member implements TurnMember {
  waiting: FrameSequence | undefined;
  readonly written: string[] = [];

  constructor(private readonly turn: WriteTurn) {}

  get(frame: string): void {
    this.waiting = (this.waiting ?? this.turn.begin(this)).append(Buffer.from(frame));
  }

  flush(): void {
    if (this.waiting) this.written.push(this.waiting.bytes().toString());
    this.waiting = undefined;
  }
}

describe('when a turn of the event loop ends', () => {
  it('has every member write what it got, once', async () => {
    const turn = new WriteTurn();
    const [ada, bob] = [new Member(turn), new Member(turn)];
    ada.get('1');
    await Promise.resolve();
    bob.get('2');
    ada.get('3');
    expect(ada.written).toEqual([]);
    await nextTurn();
    expect([ada.written, bob.written]).toEqual([['13'], ['2']]);
  });

  it('begins another with the next frame', async () => {
    const member = new Member(new WriteTurn());
    for (const frame of ['1', '2']) {
      member.get(frame);
      await nextTurn();
    }
    expect(member.written).toEqual(['1', '2']);
  });

  it('lets a member that has written before get more', async () => {
    const member = new Member(new WriteTurn());
    member.get('1');
    member.flush();
    member.get('2');
    await nextTurn();
    expect(member.written).toEqual(['1', '2']);
  });

  it('takes what is sent while it ends into the next one', async () => {
    const turn = new WriteTurn();
    const late = new Member(turn);
    const early: TurnMember = { flush: () => late.get('late') };
    turn.begin(early);
    await nextTurn();
    expect(late.written).toEqual([]);
    await nextTurn();
    expect(late.written).toEqual(['late']);
  });
});

describe('when the process exits in the middle of a turn', () => {
  it('has every member write what it got', () => {
    const member = new Member(new WriteTurn());
    member.get('last words');
    process.listeners('exit').at(-1)?.(0);
    expect(member.written).toEqual(['last words']);
  });
});

describe('when a broadcast is framed', () => {
  it('joins header and payload once for all recipients', () => {
    const turn = new WriteTurn();
    const parts = [Buffer.from('h'), Buffer.from('payload')];
    expect(turn.join(parts).toString()).toBe('hpayload');
    expect(turn.join(parts)).toBe(turn.join(parts));
  });

  it('frames each packet of an event with binary data once for all recipients', () => {
    const turn = new WriteTurn();
    const data = Buffer.from([1]);
    const [first, second] = [{}, {}];
    const frames = [turn.encode(first, 'text'), turn.encode(first, data)];
    expect([turn.encode(first, 'text'), turn.encode(first, data)]).toEqual(frames);
    expect(turn.encode(first, data)).toBe(frames[1]);
    data[0] = 2;
    expect(turn.encode(second, data)[0]?.at(-1)).toBe(2);
  });

  it('does not keep all frames of a turn that never seems to end', () => {
    const turn = new WriteTurn();
    const member = new Member(turn);
    const start = turn.begin(member);
    expect(turn.begin(member)).toBe(start);
    for (let count = 0; count < 20; count += 1) turn.join([Buffer.alloc(32), Buffer.alloc(65_504)]);
    expect(turn.begin(member)).not.toBe(start);
  });
});
