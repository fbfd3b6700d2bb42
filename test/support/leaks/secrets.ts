export interface Secret {
  readonly text: string;
  /** For the failure's message. */
  readonly what: string;
  /** Users whose connections may receive it. */
  readonly users: readonly string[];
  /** Whoever has it can speak for another. */
  readonly isCredential: boolean;
}

/** Characters of ids, of the parts of a JWT and of canaries. */
const RUN = /[\w-]{20,}/g;
const WORD = /^[\w-]{20,}$/;
const KEY = 20;

/** Strings to look for. Finding them takes about as long for ten thousand of them as for one. */
export class Secrets {
  private readonly all = new Map<string, Secret>();
  private readonly byKey = new Map<string, Secret[]>();
  /** Those that are no words: each is looked for by itself. */
  private readonly odd: Secret[] = [];

  add(secret: Secret): void {
    if (this.all.has(secret.text)) return;
    this.all.set(secret.text, secret);
    if (!WORD.test(secret.text)) {
      this.odd.push(secret);
      return;
    }
    const key = secret.text.slice(0, KEY);
    this.byKey.set(key, [...(this.byKey.get(key) ?? []), secret]);
  }

  /** Which of them are in the text, and where. */
  in(text: string): { readonly secret: Secret; readonly at: number }[] {
    const found = this.odd.map((secret) => ({ secret, at: text.indexOf(secret.text) })).filter(({ at }) => at >= 0);
    for (const run of text.matchAll(RUN)) {
      if (run[0].length > KEY * this.all.size) this.inWhole(run[0], run.index, found);
      else this.inRun(run[0], run.index, found);
    }
    return found;
  }

  private inRun(run: string, start: number, found: { secret: Secret; at: number }[]): void {
    for (let at = 0; at + KEY <= run.length; at += 1) {
      for (const secret of this.byKey.get(run.slice(at, at + KEY)) ?? [])
        if (run.startsWith(secret.text, at)) found.push({ secret, at: start + at });
    }
  }

  /** As `inRun`, for a run that is longer than the list. */
  private inWhole(run: string, start: number, found: { secret: Secret; at: number }[]): void {
    for (const secret of this.all.values()) {
      const at = run.indexOf(secret.text);
      if (at >= 0) found.push({ secret, at: start + at });
    }
  }
}
