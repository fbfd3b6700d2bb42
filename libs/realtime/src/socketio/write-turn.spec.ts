import { WriteTurn, type TurnMember } from './write-turn.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Member implements TurnMember {
  readonly received: string[] = [];
  readonly seat: number;

  constructor(private readonly turn: WriteTurn) {
    this.seat = turn.seats.take(this);
  }

  get(frame: string): void {
    this.turn.append(this.seat, Buffer.from(frame));
  }

  flush(): void {
    const waiting = this.turn.take(this.seat);
    if (waiting) this.written(waiting.bytes());
  }

  written(bytes: Buffer): void {
    this.received.push(bytes.toString());
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
    expect(ada.received).toEqual([]);
    await nextTurn();
    expect([ada.received, bob.received]).toEqual([['13'], ['2']]);
  });

  it('begins another with the next frame', async () => {
    const member = new Member(new WriteTurn());
    for (const frame of ['1', '2']) {
      member.get(frame);
      await nextTurn();
    }
    expect(member.received).toEqual(['1', '2']);
  });

  it('lets a member that has written before get more', async () => {
    const member = new Member(new WriteTurn());
    member.get('1');
    member.flush();
    member.get('2');
    await nextTurn();
    expect(member.received).toEqual(['1', '2']);
  });

  it('takes what is sent while it ends into the next one', async () => {
    const turn = new WriteTurn();
    const late = new Member(turn);
    const early = new Member(turn);
    early.written = () => late.get('late');
    early.get('early');
    await nextTurn();
    expect(late.received).toEqual([]);
    await nextTurn();
    expect(late.received).toEqual(['late']);
  });
});

describe('when the process exits in the middle of a turn', () => {
  it('has every member write what it got', () => {
    const member = new Member(new WriteTurn());
    member.get('last words');
    process.listeners('exit').at(-1)?.(0);
    expect(member.received).toEqual(['last words']);
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
    const [ada, bob, eve] = [new Member(turn), new Member(turn), new Member(turn)];
    const parts = [Buffer.from('h'), Buffer.from('payload')];
    for (const { seat } of [ada, bob]) turn.add(seat, parts);
    expect(turn.waiting(bob.seat)).toBe(turn.waiting(ada.seat));
    for (let count = 0; count < 20; count += 1) turn.join([Buffer.alloc(32), Buffer.alloc(65_504)]);
    turn.add(eve.seat, parts);
    expect(turn.waiting(eve.seat)).not.toBe(turn.waiting(ada.seat));
    expect(turn.waiting(eve.seat)?.bytes()).toEqual(turn.waiting(ada.seat)?.bytes());
  });
});

describe('when frames of a broadcast are shared', () => {
  const frames = [[Buffer.from('one')], [Buffer.from('two')]];

  it('reaches who has the seat and nothing in the way', async () => {
    const turn = new WriteTurn();
    const [ada, bob] = [new Member(turn), new Member(turn)];
    turn.seats.obstacles[bob.seat] = 1;
    expect([ada, bob].map((member) => turn.share(member.seat, member, frames))).toEqual([true, false]);
    turn.seats.obstacles[bob.seat] = 0;
    expect(turn.share(bob.seat, bob, [frames[1]!])).toBe(true);
    await nextTurn();
    expect([ada.received, bob.received]).toEqual([['onetwo'], ['two']]);
  });

  it('reaches nobody by the seat of another, nor by none', async () => {
    const turn = new WriteTurn();
    const gone = new Member(turn);
    turn.seats.leave(gone.seat);
    const next = new Member(turn);
    expect(next.seat).toBe(gone.seat);
    expect(turn.share(gone.seat, gone, frames)).toBe(false);
    expect(turn.share(-1, gone, frames)).toBe(false);
    await nextTurn();
    expect([gone.received, next.received]).toEqual([[], []]);
  });

  it('keeps apart what a seat and the one who had it before got in one turn', async () => {
    const turn = new WriteTurn();
    const gone = new Member(turn);
    gone.get('for the one who is gone');
    turn.seats.leave(gone.seat);
    const next = new Member(turn);
    next.get('for the next');
    await nextTurn();
    expect([gone.received, next.received]).toEqual([['for the one who is gone'], ['for the next']]);
  });

  it('finds every one of many, also after more have come', async () => {
    const turn = new WriteTurn();
    const members = Array.from({ length: 1_000 }, () => new Member(turn));
    members.forEach((member, index) => member.get(String(index)));
    members.push(...Array.from({ length: 2_000 }, () => new Member(turn)));
    for (const member of members) expect(turn.share(member.seat, member, [frames[0]!])).toBe(true);
    await nextTurn();
    expect(members.map(({ received }) => received)).toEqual(
      members.map((_, index) => [index < 1_000 ? `${index}one` : 'one']),
    );
  });
});
