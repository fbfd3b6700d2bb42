export interface Sample<T> {
  /** `performance.now()` at which the question was asked. */
  readonly atMs: number;
  readonly value: T;
}

/** Asks the same question every `everyMs`, also while earlier answers are missing, until it is disposed of. */
export class Samples<T> implements Disposable {
  readonly all: Sample<T>[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(everyMs: number, ask: () => Promise<T>) {
    this.timer = setInterval(() => {
      const atMs = performance.now();
      // A question that fails is the question's to turn into a value.
      void ask().then((value) => this.all.push({ atMs, value }));
    }, everyMs);
  }

  get last(): T | undefined {
    return this.all.at(-1)?.value;
  }

  /** The first one asked at or after `atMs` that fits. */
  first(atMs: number, fits: (value: T) => boolean): Sample<T> | undefined {
    return this.all.find((sample) => sample.atMs >= atMs && fits(sample.value));
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }
}
