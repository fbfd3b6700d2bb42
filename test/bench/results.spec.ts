import { LinearScale, LogScale } from '../../bench/results/scales.js';
import { median } from '../../bench/results/statistics.js';
import { short } from '../../bench/results/svg.js';
import { format, markdown } from '../../bench/results/tables.js';

describe('when runs are summed up', () => {
  it.each([
    { values: [3, 1, 2], middle: 2 },
    { values: [4, 1, 3, 2], middle: 2.5 },
    { values: [7], middle: 7 },
    { values: [], middle: Number.NaN },
  ])('takes the median of $values', ({ values, middle }) => expect(median(values)).toBe(middle));
});

describe('when numbers are drawn', () => {
  it('puts linear scales on round marks that hold all values', () => {
    const scale = new LinearScale([3, 47], [0, 100]);
    expect(scale.ticks()).toEqual([0, 10, 20, 30, 40, 50]);
    expect(scale.place(25)).toBe(50);
  });

  it('puts logarithmic scales on 1, 2 and 5', () => {
    const scale = new LogScale([12, 480], [0, 100]);
    expect(scale.ticks()).toEqual([10, 20, 50, 100, 200, 500]);
    expect(scale.place(10)).toBe(0);
    expect(scale.place(500)).toBe(100);
  });

  it.each([
    [0.94, '0.94'],
    [12_500, '12.5k'],
    [800_000, '800k'],
    [1_500_000, '1.5M'],
  ])('writes %d as %s', (value, text) => expect(short(value)).toBe(text));
});

describe('when numbers are put into tables', () => {
  it('lines them up and says where there is none', () => {
    const rows = [
      ['a', format(1_234.5, 1)],
      ['bcde', format(Number.NaN, 1)],
    ];
    expect(markdown({ label: undefined, head: ['set-up', 'ms'], rows })).toBe(
      ['| set-up |      ms |', '| ------ | ------: |', '| a      | 1,234.5 |', '| bcde   |       – |'].join('\n'),
    );
  });
});
