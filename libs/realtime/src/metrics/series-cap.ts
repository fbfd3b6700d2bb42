/** What stands for all label values beyond the cap. */
export const OTHER = '_other';

/**
 * Keeps a metric from exploding: at most `max` different combinations of label values, first come first served; all later
 * ones are one series, `_other`. A combination that was let in stays, so that counters never go back.
 */
export class SeriesCap {
  private readonly known = new Set<string>();

  constructor(private readonly max: number) {}

  cap(values: readonly string[]): readonly string[] {
    const key = values.length === 1 ? values[0]! : values.join('\u0000');
    if (this.known.has(key)) return values;
    // One of the series is `_other` itself.
    if (this.known.size < this.max - 1) {
      this.known.add(key);
      return values;
    }
    return values.map(() => OTHER);
  }
}
