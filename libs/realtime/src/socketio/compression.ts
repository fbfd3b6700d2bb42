import type { PerMessageDeflateOptions } from 'ws';
import { FrameDeflater, MAX_WINDOW_BITS, type DeflateOptions } from './deflated-frame.js';

/** Messages to clients that agree on permessage-deflate. What clients send is inflated, and then counted, whatever stands here. */
export interface CompressionOptions {
  /** Bytes from which on a message is compressed. 0: every one that gets shorter. @default 1_024 */
  minBytes?: number | undefined;
  /** Bytes up to which a message is compressed: it is done at once, and holds up everything else. @default 262_144 */
  maxBytes?: number | undefined;
  /** zlib's, 1 (fastest) to 9 (shortest). @default 1 */
  level?: number | undefined;
}

const DEFAULTS: DeflateOptions = { minBytes: 1_024, maxBytes: 262_144, level: 1 };
/** zlib makes no raw stream for a smaller window. */
const MIN_WINDOW_BITS = 9;

interface Options {
  readonly compression?: CompressionOptions | false | undefined;
  readonly coalesceWrites?: boolean | undefined;
  readonly socketio?: Readonly<Record<string, unknown>> | undefined;
}

/** @returns all that is wrong, each line with the option's full name. */
export function checkCompression({ compression, coalesceWrites, socketio }: Options): string[] {
  if (compression === undefined || compression === false) return [];
  if (typeof compression !== 'object' || compression === null) return ['compression: must be false or an object'];
  const { minBytes, maxBytes, level } = resolved(compression);
  const problems = Object.keys(compression)
    .filter((name) => !Object.hasOwn(DEFAULTS, name))
    .map((name) => `compression.${name}: is not an option`);
  if (!isWhole(minBytes, 0)) problems.push('compression.minBytes: must be a whole number of at least 0');
  if (!isWhole(maxBytes, 1)) problems.push('compression.maxBytes: must be a whole number of at least 1');
  else if (maxBytes < minBytes) problems.push('compression.maxBytes: must not be below compression.minBytes');
  if (!isWhole(level, 1) || level > 9) problems.push('compression.level: must be a whole number from 1 to 9');
  if (coalesceWrites === false) problems.push('compression: needs coalesceWrites, which is false');
  if (socketio?.['perMessageDeflate'])
    problems.push('socketio.perMessageDeflate: belongs to compression, set it there');
  return problems;
}

export function resolveCompression(compression: CompressionOptions | false | undefined): DeflateOptions | undefined {
  return compression ? resolved(compression) : undefined;
}

/**
 * What is agreed with clients. Neither side keeps anything from message to message; `ws` inflates, up to `maxPayload` of what
 * comes out, and never deflates by itself.
 */
export const NEGOTIATED: PerMessageDeflateOptions = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  threshold: Infinity,
};

/** What is used of permessage-deflate as `ws` has agreed on it with one client. Pinned in test/contract/engine-io.spec.ts. */
export interface Extension {
  readonly params: { readonly server_max_window_bits?: number };
  decompress(data: Buffer, isLast: boolean, callback: (error: Error | null, message?: Buffer) => void): void;
  cleanup(): void;
}

/** One deflater for all connections with the same window, and nothing for each connection. */
export class Compression {
  private readonly deflaters = new Map<number, FrameDeflater>();

  constructor(private readonly options: DeflateOptions) {}

  /** Undefined: the client's window is too small, and it gets what is not compressed. */
  adopt(extension: Extension): FrameDeflater | undefined {
    extension.decompress = decompressAndForget;
    const windowBits = extension.params.server_max_window_bits ?? MAX_WINDOW_BITS;
    if (windowBits < MIN_WINDOW_BITS) return undefined;
    let deflater = this.deflaters.get(windowBits);
    if (!deflater) this.deflaters.set(windowBits, (deflater = new FrameDeflater(this.options, windowBits)));
    return deflater;
  }
}

/** `ws` keeps what it inflates with until the connection ends; no message needs what an earlier one has left there. */
function decompressAndForget(this: Extension, ...[data, isLast, callback]: Parameters<Extension['decompress']>): void {
  const prototype = Object.getPrototypeOf(this) as Extension;
  prototype.decompress.call(this, data, isLast, (error, message) => {
    if (isLast) this.cleanup();
    callback(error, message);
  });
}

function resolved(compression: CompressionOptions): DeflateOptions {
  const given = Object.entries(compression).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...(Object.fromEntries(given) as Partial<DeflateOptions>) };
}

function isWhole(value: unknown, least: number): value is number {
  return Number.isInteger(value) && (value as number) >= least;
}
