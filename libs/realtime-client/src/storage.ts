/** A storage that does not answer keeps nobody from connecting. */
const READ_WITHIN_MS = 2_000;

/** What a storage answers, at once or later; rejects if it does not. */
export function readOf<T>(value: T | Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('The storage did not answer')), READ_WITHIN_MS);
    Promise.resolve(value)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
