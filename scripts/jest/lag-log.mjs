// What the lag witnesses of all processes wrote, and the sentences about it. Pure, but for the two readers.
import { readFileSync } from 'node:fs';

/** Shorter gaps are everyday life on a busy machine. */
export const GAP_MS = 200;
const SHOWN_PROCESSES = 5;

export function parseGaps(text) {
  return text.split('\n').flatMap((line) => {
    try {
      const gap = JSON.parse(line);
      return typeof gap?.lateMs === 'number' ? [gap] : [];
    } catch {
      // A process that was killed while it wrote.
      return [];
    }
  });
}

export function readGaps(path) {
  try {
    return parseGaps(readFileSync(path, 'utf8'));
  } catch {
    return [];
  }
}

/** Time in which at least one task of the machine waited for a CPU, since boot. */
export function parsePressure(text) {
  const [, micros] = /^some .*\btotal=(\d+)/m.exec(text) ?? [];
  return micros === undefined ? undefined : Number(micros) / 1000;
}

/** Undefined on kernels without pressure stall information. */
export function readPressure() {
  try {
    return parsePressure(readFileSync('/proc/pressure/cpu', 'utf8'));
  } catch {
    return undefined;
  }
}

export const during = (gaps, from, to) => gaps.filter(({ at, lateMs }) => at > from && at - lateMs < to);

export const greatest = (gaps) =>
  gaps.reduce((found, gap) => (found === undefined || gap.lateMs > found.lateMs ? gap : found), undefined);

/** `1 240 ms`. */
export const inMs = (ms) => `${String(Math.round(ms)).replace(/\B(?=(\d{3})+$)/g, ' ')} ms`;

const withoutCpu = ({ lateMs, cpuMs }) => Math.max(0, lateMs - cpuMs);

function reason(gap) {
  const { lateMs } = gap;
  const withoutCpuMs = withoutCpu(gap);
  return withoutCpuMs >= Math.min(GAP_MS, lateMs / 2) ? `no CPU for ${inMs(withoutCpuMs)}` : 'blocked';
}

/** One line about the time between `from` and `to`: the greatest gap of each process, this one first. */
export function lagNote({ gaps, from, to, pid, pressureMs }) {
  const byProcess = new Map();
  for (const gap of during(gaps, from, to)) byProcess.set(gap.pid, [...(byProcess.get(gap.pid) ?? []), gap]);
  const found = [...byProcess.values()].map(greatest);
  found.sort((a, b) => Number(b.pid === pid) - Number(a.pid === pid) || b.lateMs - a.lateMs);
  const parts = found
    .slice(0, SHOWN_PROCESSES)
    .map(
      (gap) => `${gap.pid === pid ? 'this process' : `${gap.role} ${gap.pid}`} ${inMs(gap.lateMs)} (${reason(gap)})`,
    );
  if (found.length > parts.length) parts.push(`${found.length - parts.length} more processes with less`);
  const lag = parts.length === 0 ? `no gap of ${GAP_MS} ms or more` : parts.join(', ');
  const pressure = pressureMs === undefined ? '' : `; /proc/pressure/cpu: some ${inMs(pressureMs)}`;
  return `lag while it ran: ${lag}${pressure}`;
}

/** The last line of a run. A test that compiles blocks for long: it must not hide that the machine stood still. */
export function closingLag(gaps) {
  const worst = greatest(gaps);
  if (!worst) return `greatest lag: no gap of ${GAP_MS} ms or more`;
  const starved = gaps.reduce((found, gap) => (withoutCpu(gap) > withoutCpu(found) ? gap : found), worst);
  const told = [worst, ...(starved === worst ? [] : [starved])].map((gap) => {
    const time = new Date(gap.at).toISOString();
    return `${inMs(gap.lateMs)} in ${gap.role} ${gap.pid} at ${time} (${reason(gap)})`;
  });
  return `greatest lag: ${told.join(', then ')}, ${gaps.length} gaps of ${GAP_MS} ms or more`;
}

/** Puts the line between the message and the first frame of a stack: there Jest prints it as part of the message. */
export function insertNote(stack, note) {
  const [frames] = /\n\s+at [^]*$/.exec(stack) ?? [''];
  return `${stack.slice(0, stack.length - frames.length)}\n\n${note}${frames}`;
}
