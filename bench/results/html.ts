import type { Outcome } from './outcome.js';
import { escape, svg } from './svg.js';
import { format, profileTable, tablesOf, type Table } from './tables.js';

const STYLE = `body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left } svg { width: 100%; height: auto } .missed { color: #b00020 } .small { color: #555; font-size: .85rem }`;

/** One page with everything, in one file. */
export function html(outcomes: readonly Outcome[]): string {
  const sections = outcomes.map(sectionOf).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Benchmarks of nestjs-realtime</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Benchmarks of nestjs-realtime</h1>
<p>All set-ups of one section ran in one go, in turn. Compare within a section only.</p>
${sections || '<p>No scenario has run yet.</p>'}
</body>
</html>
`;
}

function sectionOf(outcome: Outcome): string {
  const { title, about, circumstances, runs, isQuick, plots, checks, profiles = [] } = outcome;
  const { machine, versions, commit, command, date } = circumstances;
  const warning = isQuick
    ? '<p class="missed">A quick run: it shows that all works, its numbers mean nothing.</p>'
    : '';
  return `<section>
<h2>${escape(title)}</h2>
<p>${escape(about)}</p>${warning}
${plots.map((plot) => svg(outcome, plot)).join('\n')}
${[...tablesOf(outcome), ...profiles.map(profileTable)].map(tableOf).join('\n')}
${isQuick || checks.length === 0 ? '' : `<ul>${checks.map(checkOf).join('')}</ul>`}
<p class="small">${[`median of ${runs}`, machine, versions, `commit ${commit}`, command, date].map(escape).join('<br>')}</p>
</section>`;
}

function tableOf({ label, head, rows }: Table): string {
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
  const title = label === undefined ? '' : `<h3>${escape(label)}</h3>`;
  return `${title}<table>${cells('th', head)}${rows.map((row) => cells('td', row)).join('')}</table>`;
}

function checkOf(check: Outcome['checks'][number]): string {
  return `<li class="${check.isMet ? 'met' : 'missed'}">${escape(sentence(check))}</li>`;
}

/** `met: … 0.65, at most 0.9` */
export function sentence({ what, value, atMost, atLeast, isMet }: Outcome['checks'][number]): string {
  const target = atMost !== undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return `${isMet ? 'met' : 'MISSED'}: ${what} ${format(value, value < 100 ? 3 : 0)}, ${target}`;
}
