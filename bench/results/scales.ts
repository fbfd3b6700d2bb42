export interface Scale {
  place(value: number): number;
  ticks(): number[];
}

type Range = readonly [from: number, to: number];

const STEPS = [1, 2, 5, 10];
const TICKS = 6;

export class LinearScale implements Scale {
  private readonly first: number;
  private readonly last: number;
  private readonly step: number;

  constructor(
    values: readonly number[],
    private readonly range: Range,
  ) {
    const min = Math.min(0, ...values);
    const max = Math.max(min + Number.EPSILON, ...values);
    const rough = (max - min) / TICKS;
    const power = 10 ** Math.floor(Math.log10(rough));
    this.step = power * (STEPS.find((factor) => factor * power >= rough) ?? 10);
    this.first = Math.floor(min / this.step) * this.step;
    this.last = Math.ceil(max / this.step) * this.step;
  }

  place(value: number): number {
    return interpolate(this.range, (value - this.first) / (this.last - this.first));
  }

  ticks(): number[] {
    const count = Math.round((this.last - this.first) / this.step);
    return Array.from({ length: count + 1 }, (_, index) => this.first + index * this.step);
  }
}

/** From the 1, 2 or 5 of a decade below the values to one above; what is not above zero lies on the lower edge. */
export class LogScale implements Scale {
  private readonly marks: readonly number[];

  constructor(
    values: readonly number[],
    private readonly range: Range,
  ) {
    const positive = values.filter((value) => value > 0);
    const min = Math.min(...positive, 1e9);
    const max = Math.max(...positive, min);
    const all = decades(min, max);
    const from = Math.max(
      0,
      all.findLastIndex((mark) => mark <= min),
    );
    const to = all.findIndex((mark) => mark >= max);
    this.marks = all.slice(from, Math.max(to, from + 1) + 1);
  }

  place(value: number): number {
    const first = Math.log10(this.marks[0] ?? 1);
    const last = Math.log10(this.marks.at(-1) ?? 10);
    return interpolate(this.range, Math.max(0, (Math.log10(value) - first) / (last - first)));
  }

  ticks(): number[] {
    return [...this.marks];
  }
}

function decades(min: number, max: number): number[] {
  const first = Math.floor(Math.log10(min));
  const last = Math.ceil(Math.log10(max)) + 1;
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index)).flatMap((power) => [
    power,
    2 * power,
    5 * power,
  ]);
}

function interpolate([from, to]: Range, share: number): number {
  return from + (to - from) * share;
}
