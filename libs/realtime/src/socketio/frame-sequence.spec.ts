import { FrameSequence, type FrameParts } from './frame-sequence.js';

function joinCounting(): { readonly join: (parts: FrameParts) => Buffer; calls: number } {
  const counting = {
    calls: 0,
    join: (parts: FrameParts): Buffer => {
      counting.calls += 1;
      return Buffer.concat(parts);
    },
  };
  return counting;
}

const parts = (...texts: string[]): FrameParts => texts.map((text) => Buffer.from(text));

describe('when connections get frames', () => {
  it('keeps their order', () => {
    const { join } = joinCounting();
    const end = new FrameSequence().next(parts('1', 'one'), join).append(Buffer.from('2two')).next(parts('3'), join);
    expect(end.bytes().toString()).toBe('1one2two3');
    expect(end.byteLength).toBe(9);
  });

  it('puts the same frames together once, for all who got them', () => {
    const counting = joinCounting();
    const start = new FrameSequence();
    const [a, b] = [parts('a', 'A'), parts('b', 'B')];
    const ends = Array.from({ length: 3 }, () => start.next(a, counting.join).next(b, counting.join));
    expect(new Set(ends).size).toBe(1);
    expect(ends[0]?.bytes()).toBe(ends[2]?.bytes());
    expect(counting.calls).toBe(2);
  });

  it('writes a frame that came alone as it is, without a copy', () => {
    const frame = Buffer.from('frame');
    expect(new FrameSequence().append(frame).bytes()).toBe(frame);
  });
});

describe('when connections get different frames', () => {
  const { join } = joinCounting();
  const [a, b, c] = [parts('a'), parts('b'), parts('c')];

  it('tells their ways apart, however they alternate', () => {
    const start = new FrameSequence();
    const ways = [[a, b, c], [a, c], [b, a], [a, b], [c], [a, b, c], [b, a, c], [a, c]];
    const ends = ways.map((way) => way.reduce((at, frame) => at.next(frame, join), start));
    expect(ends.map((end) => end.bytes().toString())).toEqual(['abc', 'ac', 'ba', 'ab', 'c', 'abc', 'bac', 'ac']);
    expect(ends[0]).toBe(ends[5]);
    expect(ends[1]).toBe(ends[7]);
  });

  it('shares no sequence with a frame for one client alone', () => {
    const start = new FrameSequence();
    const [mine, yours] = [start.append(Buffer.from('m')), start.append(Buffer.from('y'))];
    expect([mine.next(a, join).bytes().toString(), yours.next(a, join).bytes().toString()]).toEqual(['ma', 'ya']);
  });
});
