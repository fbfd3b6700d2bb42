import { readFileSync } from 'node:fs';

/**
 * How many files and sockets this process may have open, or undefined where there is no such limit or it cannot be read
 * (Windows). Reads `/proc` on Linux, else the diagnostic report, which takes some milliseconds: call it at boot.
 */
export function fileDescriptorLimit(): number | undefined {
  return fromProc() ?? fromReport();
}

/** Kept for Redis, files, listening sockets and plain HTTP: a tenth, at least 64 and at most 1 024. */
export function descriptorReserve(limit: number): number {
  return Math.min(1_024, Math.max(64, Math.ceil(limit / 10)));
}

/**
 * Connections that a server may open, so that Redis, files and listening sockets still find a descriptor: more than the
 * transports, for there must be room to refuse. Undefined where descriptors have no limit.
 */
export function connectionLimit(descriptors = fileDescriptorLimit()): number | undefined {
  return descriptors === undefined
    ? undefined
    : Math.max(1, descriptors - Math.ceil(descriptorReserve(descriptors) / 2));
}

function fromProc(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined || soft === 'unlimited' ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

function fromReport(): number | undefined {
  if (process.platform === 'win32') return undefined;
  const report = process.report?.getReport() as unknown as
    { userLimits?: { open_files?: { soft?: unknown } } } | undefined;
  const soft = report?.userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : undefined;
}
