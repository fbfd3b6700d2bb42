/**
 * What the command line asks for. Scenarios read their own numbers with a full and a quick default; a flag that nobody read
 * is an error, so that a typing mistake does not measure something else.
 */
export class Settings {
  readonly isQuick: boolean;
  /** A missed target fails the process. */
  readonly isChecked: boolean;
  /** Write JSON and SVG to docs/benchmarks/ as well. */
  readonly isStored: boolean;
  readonly hasRedis: boolean;
  /** Find out where the servers spend their time; costs some of it. */
  readonly isProfiled: boolean;
  /** Absent: all. Ids or parts of ids. */
  readonly only: readonly string[] | undefined;
  private readonly values = new Map<string, string>();
  private readonly unread: Set<string>;

  constructor(readonly args: readonly string[]) {
    for (const arg of args) {
      const [, name, value] = /^--([a-z-]+)(?:=(.+))?$/.exec(arg) ?? [];
      if (name === undefined) throw new Error(`'${arg}' is not a flag: --name or --name=value`);
      this.values.set(name, value ?? '');
    }
    this.unread = new Set(this.values.keys());
    this.isQuick = this.flag('quick');
    this.isChecked = this.flag('check');
    this.isStored = this.flag('store');
    this.isProfiled = this.flag('profile');
    this.hasRedis = !this.flag('no-redis');
    this.only = this.text('only')?.split(',');
  }

  /** A positive integer. */
  number(name: string, defaults: { readonly full: number; readonly quick: number }): number {
    const text = this.text(name);
    if (text === undefined) return this.isQuick ? defaults.quick : defaults.full;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a positive integer`);
    return value;
  }

  /** Positive integers, separated by commas. */
  numbers(name: string, defaults: { readonly full: readonly number[]; readonly quick: readonly number[] }): number[] {
    const text = this.text(name);
    if (text === undefined) return [...(this.isQuick ? defaults.quick : defaults.full)];
    const values = text.split(',').map(Number);
    if (values.some((value) => !Number.isInteger(value) || value < 1))
      throw new Error(`--${name} must be positive integers, separated by commas`);
    return values;
  }

  /** Once everybody has read what is theirs. */
  checkAllRead(): void {
    if (this.unread.size > 0) throw new Error(`This scenario knows no --${[...this.unread].join(', --')}`);
  }

  private flag(name: string): boolean {
    this.unread.delete(name);
    return this.values.has(name);
  }

  private text(name: string): string | undefined {
    this.unread.delete(name);
    const value = this.values.get(name);
    if (value === '') throw new Error(`--${name} needs a value: --${name}=…`);
    return value;
  }
}
