import type { EncodedEvent } from '../core/link.js';

/** A stock client closes its connection for a packet with more (socket.io-parser's `maxAttachments`). */
export const MAX_ATTACHMENTS = 10;

/** What JSON says of one value, its binary parts taken out: `{"_placeholder":true,"num":0}` stands for the first. */
export interface EncodedData {
  readonly json: string;
  readonly attachments: readonly Buffer[];
}

interface Placeholder {
  readonly _placeholder: true;
  readonly num: number;
}

/** @throws TypeError for data that JSON cannot carry, for more than `MAX_ATTACHMENTS` binary values, and for placeholders that are not ours. */
export function encodeData(data: unknown): EncodedData {
  if (data === undefined) return { json: 'null', attachments: [] };
  const attachments: Buffer[] = [];
  // A replacer makes JSON several times slower: only for those who need it.
  const json = hasBinary(data) ? stringifyBinary(data, attachments) : JSON.stringify(data);
  if (json === undefined) throw new TypeError(`a ${typeof data} is no JSON`);
  return { json, attachments };
}

/** `"event",data,{…` as a JSON array; with attachments, the binary values are put back. Undefined if it is none. */
export function parseContent(json: string, attachments: readonly Uint8Array[]): unknown[] | undefined {
  try {
    const content: unknown = attachments.length === 0 ? JSON.parse(json) : JSON.parse(json, restoring(attachments));
    return Array.isArray(content) ? content : undefined;
  } catch {
    return undefined;
  }
}

/** An event of Socket.IO's from its JSON; nothing is parsed unless somebody reads `content`. */
export class LazyEvent implements EncodedEvent {
  private parsed: readonly unknown[] | undefined;

  constructor(
    readonly json: string,
    readonly attachments: readonly Uint8Array[],
  ) {}

  get content(): readonly unknown[] {
    return (this.parsed ??= parseContent(this.json, this.attachments) ?? []);
  }
}

function stringifyBinary(data: unknown, attachments: Buffer[]): string | undefined {
  return JSON.stringify(data, function (this: Record<string, unknown>, key, value: unknown): unknown {
    // Buffers have a `toJSON`, which has been called already: the holder has the original.
    const binary = [this[key], value].find(isBinary);
    if (binary !== undefined) {
      if (attachments.length === MAX_ATTACHMENTS) throw new TypeError(`more than ${MAX_ATTACHMENTS} binary values`);
      return { _placeholder: true, num: attachments.push(toBuffer(binary)) - 1 } satisfies Placeholder;
    }
    refusePlaceholder(value);
    return value;
  });
}

function restoring(attachments: readonly Uint8Array[]): (key: string, value: unknown) => unknown {
  return (_key, value) => (isPlaceholder(value) ? attachments[value.num] : value);
}

function isPlaceholder(value: unknown): value is Placeholder {
  return typeof value === 'object' && value !== null && (value as Placeholder)._placeholder === true;
}

/**
 * An attachment of somebody else: beside binary values, of its own or of another publication in the same reply, a client
 * would take it for one of those, or close its connection.
 */
function refusePlaceholder(value: unknown): void {
  if (isPlaceholder(value)) throw new TypeError('`_placeholder` belongs to Socket.IO');
}

type Binary = ArrayBuffer | ArrayBufferView;

function isBinary(value: unknown): value is Binary {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

function toBuffer(binary: Binary): Buffer {
  if (binary instanceof ArrayBuffer) return Buffer.from(binary);
  return Buffer.from(binary.buffer, binary.byteOffset, binary.byteLength);
}

/** Looks where JSON would look. */
function hasBinary(value: unknown, isFromToJson = false): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (isBinary(value)) return true;
  refusePlaceholder(value);
  if (Array.isArray(value)) return value.some((item) => hasBinary(item));
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function' && !isFromToJson) return hasBinary(toJSON.call(value, ''), true);
  return Object.values(value).some((item) => hasBinary(item));
}
