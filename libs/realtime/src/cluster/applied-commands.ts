/** Ids that are remembered. */
const REMEMBERED = 10_000;

/** Which commands were carried out here: a log with a new epoch, or a second log, brings some of them again. */
export class AppliedCommands {
  readonly #ids = new Set<string>();

  /** False if it was there already. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > REMEMBERED && oldest !== undefined) this.#ids.delete(oldest);
    return true;
  }
}
