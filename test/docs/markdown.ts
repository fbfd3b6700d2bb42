// Reads the repository's pages: what stands in their tables, code blocks and links.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface CodeBlock {
  readonly language: string;
  readonly code: string;
}

export function readPage(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** README, everything under docs/ and the change logs, relative to the root. */
export function allPages(): string[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true }).map((name) => `docs/${String(name)}`);
  const changeLogs = readdirSync(join(ROOT, 'libs')).map((name) => `libs/${name}/CHANGELOG.md`);
  return ['README.md', ...docs.filter((path) => path.endsWith('.md')), ...changeLogs];
}

/** The text below a heading, up to the next one of its level or above. */
export function section(page: string, heading: string): string {
  const level = /^#+/.exec(heading)?.[0].length ?? 0;
  const lines = page.split('\n');
  const start = lines.indexOf(heading);
  if (start === -1) throw new Error(`There is no heading '${heading}'`);
  const length = lines.slice(start + 1).findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= level);
  return lines.slice(start + 1, length === -1 ? undefined : start + 1 + length).join('\n');
}

/** Rows of all tables, without heads and rules, as trimmed cells. */
export function tableRows(text: string): string[][] {
  return text
    .split(/\n(?!\|)/)
    .flatMap((block) =>
      block
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .slice(2),
    )
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
}

/** What stands in backticks, in order. */
export function inCode(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}

/** The first word in code of each row. */
export function rowNames(text: string): string[] {
  return tableRows(text).flatMap(([first = '']) => inCode(first));
}

export function codeBlocks(page: string, language: string): CodeBlock[] {
  const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)];
  return blocks
    .map(([, name = '', code = '']) => ({ language: name, code }))
    .filter((one) => one.language === language);
}

/** Targets of inline links, outside of code blocks. */
export function links(page: string): string[] {
  const prose = page.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, 'code');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** Anchors as code hosts make them of headings. */
export function anchors(page: string): Set<string> {
  const headings = page.split('\n').filter((line) => /^#{1,6} /.test(line));
  return new Set(
    headings.map((line) =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
