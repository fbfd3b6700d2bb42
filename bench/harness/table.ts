import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** As Markdown, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** What the numbers depend on, in one line. */
export function circumstances(): string {
  const packages = ['@nestjs/core', '@nestjs/platform-socket.io', 'socket.io', 'engine.io', 'ws'];
  const versions = packages.map((name) => `${name} ${versionOf(name)}`);
  return `Node ${process.versions.node}, ${versions.join(', ')}; ${cpus().length} cores`;
}

/** Seen from where the build lies; not every package lets `require` reach its package.json. */
function versionOf(name: string): string {
  const path = new URL(`../../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** Prints whether the target is met; with `--check` a missed one fails the process. */
export function judge(what: string, ratio: number, target: number): void {
  const isMet = ratio <= target;
  console.log(`${isMet ? 'met' : 'MISSED'}: ${what} ${ratio.toFixed(3)} of stock, target ${target}`);
  if (!isMet && process.argv.includes('--check')) process.exitCode = 1;
}

/** `--name=value` as a number. */
export function numberFlag(name: string, fallback: number): number {
  const flag = process.argv.find((argument) => argument.startsWith(`--${name}=`));
  const value = flag === undefined ? fallback : Number(flag.slice(name.length + 3));
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a positive integer`);
  return value;
}
